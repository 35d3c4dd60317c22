"""The worker that trains nothing is handed from trial to trial like real ones: else each would start a process."""

import driver_scale


def test_a_worker_that_trains_nothing_takes_the_next_trial() -> None:
    kind = driver_scale.no_op()
    worker = object.__new__(kind)
    first, second = ({"trial": f"t000{n}", "variant": {"params": {"filters": n}}, "first_epoch": n} for n in (1, 2))
    worker._take(first)
    assert worker.reset_config(second) is True
    assert (worker._name, worker._epoch) == ("t0002", 2)
