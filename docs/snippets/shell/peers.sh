python benchmarks/compare_peers.py --preset cifar --data FOLDER
python benchmarks/compare_peers.py --preset long --data FOLDER
python benchmarks/compare_peers.py --preset tiny
python benchmarks/trial_overhead.py
python benchmarks/time_to_accuracy.py --data FOLDER
