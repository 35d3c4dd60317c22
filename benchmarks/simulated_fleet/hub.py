"""The process in which all simulated workers live, each a coroutine that sleeps for as long as an epoch takes."""

import asyncio
import time
from collections import Counter
from typing import Any

from ray.exceptions import ActorDiedError

from simulated_fleet.load import Draws, Load

#: Where a result says when the worker had it, in seconds since 1970; no key of the product's.
READY_AT = "simulated_ready_at"


class Hub:
    """Runs the trainables of all workers; every call of Ray Tune to a worker becomes one to this actor.

    Args:
        load: The fleet's.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._trainables: dict[int, Any] = {}
        self._draws: dict[int, Draws] = {}
        #: By trial: its last epoch that a worker has reported; the checkpoints of a real fleet.
        self._checkpoints: dict[str, int] = {}
        self._reported: Counter[tuple[str, int]] = Counter()
        self._counts: Counter[str] = Counter()

    async def call(self, worker: int, method: str, *args: Any, **named: Any) -> Any:
        """Does what Ray Tune asks of a worker."""
        if method == "train":
            return await self._train(worker)
        if method == "reset":
            done = self._trainables[worker].reset(*args, **named)
            self._continue(worker)
            return done
        if method == "get_auto_filled_metrics":
            return self._trainables[worker].get_auto_filled_metrics(*args, **named)
        if method in ("stop", "__ray_terminate__"):
            self._trainables.pop(worker, None)
            return None
        raise ValueError(f"no worker knows {method}")

    async def start(self, worker: int, kind: Any, arguments: dict[str, Any]) -> None:
        """Starts a worker."""
        self._draws[worker] = Draws(self._load, worker=worker)
        await asyncio.sleep(self._load.start_seconds)
        self._trainables[worker] = kind[0](**arguments)
        self._continue(worker)
        self._counts["starts"] += 1

    async def kill(self, worker: int) -> None:
        """Ends a worker at once."""
        self._trainables.pop(worker, None)

    async def told(self) -> tuple[dict[tuple[str, int], int], dict[str, int]]:
        """Returns how often each (trial, epoch) was reported, and how often else happened what."""
        return dict(self._reported), dict(self._counts)

    def _continue(self, worker: int) -> None:
        """Makes a worker go on from its trial's last checkpoint, as real ones do."""
        trainable = self._trainables[worker]
        known = self._checkpoints.get(trainable._name, 0)
        if known >= trainable._epoch:
            trainable._epoch = known + 1 - self._draws[worker].loses_an_epoch()

    async def _train(self, worker: int) -> dict[str, Any]:
        draws, trainable = self._draws[worker], self._trainables[worker]
        if (seconds := draws.epoch_seconds()) > 0:
            await asyncio.sleep(seconds)
        match draws.fate():
            case "preemption":
                self._counts["preemptions"] += 1
                self._trainables.pop(worker, None)
                raise ActorDiedError
            case "failure":
                self._counts["failures"] += 1
                trainable.failure = {"kind": "diverged", "reason": "the loss is not finite", "details": ""}
        result: dict[str, Any] = trainable.train()
        result["worker"] |= {"node": f"node-{worker // 8:04d}", "worker_pid": 100_000 + worker}
        if "report" in result:
            self._checkpoints[result["trial"]] = result["epoch"]
            self._reported[result["trial"], result["epoch"]] += 1
        result[READY_AT] = time.time()
        return result
