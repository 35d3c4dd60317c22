"""The thin adapter between Ray Tune and a TrialRun."""

import functools
import os
import socket
import time
from dataclasses import asdict
from typing import Any

import ray
from ray import tune

from search_spaces import Variant
from trainables.machine.cores import cores_in_words, own_cores
from trainables.machine.imports import early_import
from trainables.machine.processes import own_memory_mb, process_age
from trainables.reports import Failure
from trainables.sharing.own_folder import own_picture, worker_on_this_node
from trainables.sharing.storage_environment import NOTHING, StorageEnvironment
from trainables.specs.worker import PRIVATE, WorkerSpec
from trainables.worker.clock import WorkerClock
from trainables.worker.trace_cache import TracedTrainings
from trainables.worker.trial_run import TrialRun

#: Ray's labels that say of which kind a node is: what an autoscaler or KubeRay calls its group, then its accelerator.
_TYPE_LABELS = ("ray.io/node-group", "ray.io/accelerator-type")


class VariantTrainable(tune.Trainable):
    """Trains one variant, one epoch a step; Ray Tune gives the same process one trial after another.

    The configuration of a trial is `{"trial", "variant", "fold", "first_epoch", "from_epoch", "generation", "start"}`:
    the generation matters to the driver alone; what all trials share comes once, as `spec`.
    `setup` and `reset_config` only store it: Ray Tune neither retries a failure in them nor keeps an actor that is slow
    to start.
    """

    _run: TrialRun
    _spec: WorkerSpec
    _traced: TracedTrainings
    _clock: WorkerClock
    #: Whether this node does not share the run folder, and the driver has not had its picture of augmentation.
    _is_apart: bool

    def setup(  # type: ignore[override, unused-ignore]
        self, config: dict[str, Any], spec: WorkerSpec, environment: StorageEnvironment = NOTHING
    ) -> None:
        """Stores the first trial, and sets the driver's variables for storages."""
        os.umask(PRIVATE)
        environment.enter()
        self._spec = worker_on_this_node(spec)
        self._is_apart = self._spec is not spec
        self._traced = TracedTrainings()
        self._clock = WorkerClock(age=process_age(), early_import=early_import())
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Stores the next trial and ends the last one."""
        self._run.leave()
        self._take(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Returns one epoch's result for Ray Tune, with the report or the failure inside."""
        began = time.monotonic()
        outcome = self._run.step()
        notes = [asdict(note) for note in self._run.take_notes()]
        result: dict[str, Any] = {"trial": self._run.trial, "worker": worker_facts(self._spec), "notes": notes}
        if isinstance(outcome, Failure):
            self._clock.fail(trial=self._run.trial)
            return result | {"done": True, "failure": asdict(outcome)}
        if self._is_apart and (picture := own_picture(self._spec)):
            self._is_apart = False
            result["picture"] = picture
        outcome = self._clock.accounted(outcome, trial=self._run.trial, began=began)
        return result | {
            **outcome.metrics,
            "epoch": outcome.epoch,
            "report": outcome.to_json(),
            "done": outcome.is_last,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Saves nothing: a TrialRun writes its own checkpoints, whole and verified."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Loads nothing: a TrialRun restores its own newest valid checkpoint."""

    def cleanup(self) -> None:
        """Waits for the uploads of the last trial before the process ends."""
        self._run.wait_for_uploads()

    def _take(self, config: dict[str, Any]) -> None:
        self._run = TrialRun(
            trial=config["trial"],
            variant=Variant.from_json(config["variant"]),
            first_epoch=config["first_epoch"],
            spec=self._spec,
            traced=self._traced,
            fold=config.get("fold", 0),
            from_epoch=config["from_epoch"],
            start=config.get("start", 0),
        )


def worker_facts(spec: WorkerSpec) -> dict[str, Any]:
    """Returns the worker's node, process, CPUs and GPUs from Ray, and the cores that it is pinned to."""
    kind = _node_type()
    return {
        "node": socket.gethostname(),
        **({"node_type": kind} if kind else {}),
        "worker_pid": os.getpid(),
        "cpus": spec.device.cpus,
        "gpus": spec.device.gpus,
        "cores": cores_in_words(own_cores()),
        "gpu_ids": [str(gpu) for gpu in ray.get_gpu_ids()],
        "visible_gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "memory_mb": own_memory_mb(),
    }


@functools.cache
def _node_type() -> str:
    """Returns the group of the cluster that the node belongs to, else its accelerator; empty where nobody says."""
    labels = ray.get_runtime_context().get_node_labels()
    return next((str(labels[name]) for name in _TYPE_LABELS if labels.get(name)), "")
