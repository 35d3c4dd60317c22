python benchmarks/epoch_loop.py
python benchmarks/families.py FOLDER
python benchmarks/checkpoint_cost.py
python benchmarks/worker_memory.py
python benchmarks/pinning.py
python benchmarks/trial_overhead.py
python benchmarks/shared_data.py
python benchmarks/driver_scale.py
python benchmarks/thousand_workers.py --workers 10 100 1000
python benchmarks/streaming.py
python benchmarks/memory_estimate.py
python benchmarks/portfolio.py cnn-small few
python benchmarks/out_of_the_box.py --data FOLDER
python benchmarks/serving.py runs/quickstart
python benchmarks/serving_under_load.py runs/quickstart
python benchmarks/serving_on_hosts.py runs/quickstart
python benchmarks/plan_accuracy.py --data FOLDER
python benchmarks/dashboard.py --peers --pages 50
