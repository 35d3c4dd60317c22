python tests/faults/kills.py
python tests/faults/exact_continuation.py --kills 10
python tests/faults/full_disks.py --times 10
python tests/faults/corruptions.py --times 20
python tests/faults/fuzz.py
python tests/faults/registry_kills.py --rounds 200
