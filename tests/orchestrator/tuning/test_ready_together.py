"""Ray is asked once for all events that have come, and Ray Tune sees them one by one; on Ray's own manager, no Ray."""

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import ActorDiedError
from ray.tune import registry
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler

from orchestrator.tuning import tune_internals
from orchestrator.tuning.tune_internals import ReadyTogether, gather_ready, has_waiting


class Resources:
    """A manager of resources that has nothing to give."""

    futures: list[str]

    def __init__(self) -> None:
        self.futures = []
        self.num_updates = 0
        self.freed: list[Any] = []

    def get_resource_futures(self) -> list[str]:
        return list(self.futures)

    def update_state(self) -> None:
        self.num_updates += 1
        self.futures.clear()

    def free_resources(self, acquired_resource: Any) -> None:
        self.freed.append(acquired_resource)


class Rays:
    """What of Ray is asked: futures are their names, and those of `done` have a result or an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: dict[str, Any] = {}
        self.asked: list[tuple[int, float | None]] = []
        monkeypatch.setattr(ray, "wait", self.wait)
        monkeypatch.setattr(ray, "get", self.get)
        monkeypatch.setattr(tune_internals.time, "sleep", lambda seconds: None)
        self.controller = SimpleNamespace(_actor_manager=RayActorManager(Resources()))  # type: ignore[arg-type]
        gather_ready(self.controller)

    @property
    def manager(self) -> Any:
        return self.controller._actor_manager

    def wait(self, futures: list[str], *, num_returns: int, timeout: float | None) -> tuple[list[str], list[str]]:
        assert futures
        self.asked.append((num_returns, timeout))
        ready = [future for future in futures if future in self.done][:num_returns]
        return ready, [future for future in futures if future not in ready]

    def get(self, future: str) -> Any:
        if isinstance(self.done[future], Exception):
            raise self.done[future]
        return self.done[future]

    def at_work(self, name: str, told: list[Any]) -> TrackedActor:
        """Adds a worker that has one task."""
        actor = TrackedActor(hash(name), on_error=lambda actor, exc: told.append(f"{name} died"))
        self.manager._live_actors_to_ray_actors_resources[actor] = (None, name)
        task = TrackedActorTask(actor, on_result=lambda actor, result: told.append(result))
        self.manager._actor_task_events.track_future(
            name,
            on_result=lambda result: self.manager._actor_task_resolved(task, result),
            on_error=lambda exc: self.manager._actor_task_failed(task, exc),
        )
        self.manager._tracked_actors_to_task_futures[actor].add(name)
        return actor


@pytest.fixture
def rays(monkeypatch: pytest.MonkeyPatch) -> Rays:
    return Rays(monkeypatch)


def test_all_that_has_come_is_asked_for_once_and_passed_on_one_by_one(rays: Rays) -> None:
    told: list[Any] = []
    for number in range(20):
        rays.at_work(f"task-{number}", told)
    rays.done = {f"task-{number}": number for number in range(12)}
    for count in range(1, 13):
        assert rays.manager.next(timeout=0.1)
        assert len(told) == count
    assert sorted(told) == list(range(12))
    assert rays.asked == [(20, 0)]
    assert rays.manager.next(timeout=0.1) is False
    # Nothing had come: Ray is asked to wait for the first.
    assert rays.asked == [(20, 0), (8, 0), (1, 0.1)]


def test_workers_that_started_come_before_reports(rays: Rays) -> None:
    told: list[Any] = []
    for number in range(8):
        rays.at_work(f"task-{number}", told)
        rays.manager._actor_state_events.track_future(f"start-{number}", on_result=told.append)
    rays.done = {f"{kind}-{number}": kind for kind in ("task", "start") for number in range(8)}
    while len(told) < 16:
        assert rays.manager.next(timeout=0.1)
    assert told == ["start"] * 8 + ["task"] * 8


def test_event_of_a_worker_that_another_event_ended_is_not_passed_on(rays: Rays) -> None:
    told: list[Any] = []
    first, second = (rays.at_work(name, told) for name in ("first", "second"))
    rays.done = {"first": 1, "second": 2}
    assert rays.manager.next(timeout=0.1)
    gone = second if told == [1] else first
    rays.manager.clear_actor_task_futures(gone)
    assert rays.manager.next(timeout=0.1) is False
    assert len(told) == 1


def test_death_of_a_worker_is_told_and_its_resources_are_free(rays: Rays) -> None:
    told: list[Any] = []
    actor = rays.at_work("task", told)
    rays.done = {"task": ActorDiedError()}
    assert rays.manager.next(timeout=0.1)
    assert told == ["task died"]
    assert rays.manager._resource_manager.freed == ["task"]
    assert rays.manager.is_actor_failed(actor)


def test_resources_that_came_are_no_event(rays: Rays) -> None:
    rays.manager._resource_manager.futures.append("resources")
    rays.done = {"resources": None}
    assert rays.manager.next(timeout=0.1) is False
    assert rays.manager._resource_manager.num_updates == 1


def test_manager_is_still_that_class_after_ray_tune_cleaned_it_up(rays: Rays, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    rays.at_work("task", told)
    monkeypatch.setattr(ray, "kill", told.append)
    monkeypatch.setattr(Resources, "clear", lambda self: None, raising=False)
    rays.manager.cleanup()
    assert type(rays.manager) is ReadyTogether
    assert rays.manager.next(timeout=0.1) is False
    assert rays.asked == []


def test_ray_tunes_step_handles_one_event_of_that_manager() -> None:
    # `ReadyTogether.next` stands for the method that the step calls, and does what that one does around an event.
    assert inspect.getsource(TuneController.step).count("self._actor_manager.next(timeout=0.1)") == 1
    code = inspect.getsource(RayActorManager.next)
    steps = ["self._try_kill_actor()", "self._try_start_actors()", "get_resource_futures()", "ray.wait("]
    steps += ["self._actor_state_events.resolve_future(", "self._actor_task_events.resolve_future("]
    steps += ["self._handle_ready_resource_future()"]
    assert [code.index(step) for step in steps] == sorted(code.index(step) for step in steps)


@pytest.mark.parametrize("status", [TuneTrial.PENDING, TuneTrial.PAUSED, TuneTrial.RUNNING])
def test_where_none_waits_ray_tunes_rule_chooses_none(status: str) -> None:
    trial = TuneTrial("none", stub=True)
    trial.status = status
    sets = {name: {trial} if name == status else set() for name in (TuneTrial.PENDING, TuneTrial.PAUSED)}
    inner = SimpleNamespace(_pending_trials=sets[TuneTrial.PENDING], _paused_trials=sets[TuneTrial.PAUSED])
    executor = SimpleNamespace(has_resources_for_trial=lambda trial: True)
    controller = SimpleNamespace(_tune_controller=inner, get_trials=lambda: [trial], trial_executor=executor)
    chosen = FIFOScheduler().choose_trial_to_run(controller)
    assert has_waiting(controller) == (chosen is trial) == (status != TuneTrial.RUNNING)


def test_class_of_the_workers_is_fetched_once_until_another_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: dict[bytes, bytes] = {}
    asked: list[bytes] = []

    def get(key: bytes) -> bytes | None:
        asked.append(key)
        return stored.get(key)

    def put(key: bytes, value: bytes, *, overwrite: bool) -> None:
        stored[key] = value

    monkeypatch.setattr(registry, "_internal_kv_initialized", lambda: True)
    monkeypatch.setattr(registry, "_internal_kv_get", get)
    monkeypatch.setattr(registry, "_internal_kv_put", put)
    monkeypatch.setattr(registry, "_internal_kv_del", stored.pop)
    monkeypatch.setattr(registry, "_global_registry", registry._Registry(prefix="job"))
    monkeypatch.setattr(registry._Registry, "_register_atexit", lambda self: None)
    tune_internals.remember_classes()
    for number in (1, 2):
        registry._global_registry.register(registry.TRAINABLE_CLASS, "Worker", type("Worker", (), {"number": number}))
        found = {registry.get_trainable_cls("Worker") for _ in range(5)}
        assert [kind.number for kind in found] == [number]
    # Each was asked for twice: whether it is there, and what it is.
    assert len(asked) == 4
    registry._global_registry.unregister(registry.TRAINABLE_CLASS, "Worker")
    assert not registry._global_registry.contains(registry.TRAINABLE_CLASS, "Worker")
    # Ray Tune's own registry asks twice each time.
    monkeypatch.setattr(registry, "_global_registry", registry._Registry(prefix="job"))
    registry._global_registry.register(registry.TRAINABLE_CLASS, "Worker", type("Worker", (), {}))
    asked.clear()
    for _ in range(5):
        registry.get_trainable_cls("Worker")
    assert len(asked) == 10
