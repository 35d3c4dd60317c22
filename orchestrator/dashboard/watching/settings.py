"""The settings of study files, and those in which runs differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.errors import OrchestratorError
from orchestrator.study.loading import load_policy
from orchestrator.study.spec import Policy
from orchestrator.study.yaml_file import apply_overrides, read_study_file
from orchestrator.text import number


def policy_of(run: FollowedRun) -> Policy | None:
    """Returns how the study of a run spends; None where its file cannot be read as one any more."""
    return run.answer("policy", lambda: _policy(run))


def differing_settings(runs: Sequence[FollowedRun]) -> list[dict[str, str]]:
    """Returns a row a setting in which runs differ: its name under `what`, and its value under each run's key."""
    settings = {run.key: settings_of(run) for run in runs}
    names = dict.fromkeys(name for found in settings.values() for name in found)
    rows = []
    for name in names:
        values = {key: number(found[name]) if name in found else "not set" for key, found in settings.items()}
        if len(set(values.values())) > 1:
            rows.append({"what": name, **values})
    return rows


def settings_of(run: FollowedRun) -> dict[str, Any]:
    """Returns the settings of a run's study file by their dotted names; none where it cannot be read any more."""
    return run.answer("settings", lambda: _settings(run))


def _settings(run: FollowedRun) -> dict[str, Any]:
    path = run.folder.study
    try:
        content = apply_overrides(read_study_file(path), (), where=str(path))
    except (OrchestratorError, OSError):
        return {}
    return _flat(content) if isinstance(content, Mapping) else {}


def _policy(run: FollowedRun) -> Policy | None:
    try:
        # Not the whole study: it may name code of a user's own, which is elsewhere by now, and would be run here.
        return load_policy(run.folder.study)
    except (OrchestratorError, OSError):
        return None


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Returns the leaves of nested mappings by their dotted names."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        path = f"{before}{name}"
        if isinstance(item, Mapping):
            found |= _flat(item, before=f"{path}.")
        elif isinstance(item, list) and item and all(isinstance(part, Mapping) for part in item):
            for place, part in enumerate(item):
                found |= _flat(part, before=f"{path}[{place}].")
        else:
            found[path] = item
    return found
