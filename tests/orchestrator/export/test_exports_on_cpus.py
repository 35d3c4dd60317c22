"""Exports compute on CPUs, whatever trials had: a GPU's TF32 gives each graph of a model other digits."""

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.cluster import processes
from orchestrator.export import tasks
from trainables.exporting import export
from trainables.specs.worker import DeviceSpec

DEVICE = DeviceSpec(cpus=2, gpus=0.5)


def test_ray_is_asked_for_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    actor = SimpleNamespace(
        start=SimpleNamespace(remote=lambda *given: len(given)), call=SimpleNamespace(remote=lambda *given: len(given))
    )

    def options(**named: Any) -> Any:
        asked.append(named)
        return SimpleNamespace(remote=lambda *given: actor)

    ray = processes.ray
    monkeypatch.setattr(ray, "remote", lambda kind: SimpleNamespace(options=options))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0})
    monkeypatch.setattr(ray, "wait", lambda waiting, timeout: (waiting, []))
    monkeypatch.setattr(ray, "get", lambda reference: "result")
    monkeypatch.setattr(ray, "kill", lambda actor: None)
    request: Any = SimpleNamespace(worker=SimpleNamespace(device=DEVICE))
    assert list(tasks.run_in_workers(tasks.run_exports, [request])) == ["result"]
    assert [(named["num_cpus"], named["num_gpus"]) for named in asked] == [(2, 0)]


def test_an_exporting_process_shows_tensorflow_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Configured(Exception):  # noqa: N818
        """Enough was seen."""

    def configure(spec: DeviceSpec) -> None:
        raise Configured(spec)

    monkeypatch.setattr(export, "configure_devices", configure)
    monkeypatch.setattr(export.os, "umask", lambda mask: mask)
    request: Any = SimpleNamespace(worker=SimpleNamespace(device=DEVICE))
    with pytest.raises(Configured) as seen:
        export.export_model(request)
    assert seen.value.args == (DeviceSpec(cpus=2, gpus=0),)
