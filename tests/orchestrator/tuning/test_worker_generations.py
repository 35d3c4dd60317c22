"""Workers are replaced after so many trials, or once they hold much more memory than at first."""

from orchestrator.cluster.resources import trial_request
from orchestrator.study.sections import Resources
from orchestrator.tuning.worker_generations import GROWTH_MB, WorkerGenerations


def worker(pid, memory_mb):
    return {"node": "node-a", "worker_pid": pid, "memory_mb": memory_mb}


def test_a_generation_of_workers_trains_so_many_trials_each():
    generations = WorkerGenerations(Resources(trials_per_worker=3), num_concurrent=2)
    assert [generations.next() for _ in range(14)] == [0] * 6 + [1] * 6 + [2] * 2


def test_a_worker_that_grew_by_a_gigabyte_makes_the_next_trials_start_fresh_ones():
    generations = WorkerGenerations(Resources(), num_concurrent=2)
    generations.observe(worker(1, 300.0))
    generations.observe(worker(1, 300.0 + GROWTH_MB))
    assert generations.next() == 0
    generations.observe(worker(1, 301.0 + GROWTH_MB))
    assert generations.next() == 1
    # Another one of the same age, or of the next, is not counted against what the first one held.
    generations.observe(worker(2, 2000.0))
    generations.observe(worker(3, 300.0))
    assert generations.next() == 1


def test_a_worker_that_cannot_tell_its_memory_is_kept():
    generations = WorkerGenerations(Resources(), num_concurrent=2)
    generations.observe(worker(1, None))
    generations.observe({})
    assert generations.next() == 0


def test_each_generation_asks_ray_for_something_else():
    requests = [trial_request(Resources(), generation=number) for number in range(3)]
    assert requests == [{"CPU": 1.0}, {"CPU": 1.0, "memory": 1.0}, {"CPU": 1.0, "memory": 2.0}]
