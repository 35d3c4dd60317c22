"""What of a study travels to a cluster: its file and the code that it names, and never its data."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from orchestrator.errors import InputError
from orchestrator.study.loading import load_study, packaged_studies
from orchestrator.study.own_code import own_modules
from orchestrator.study.pretrained_weights import weights_files
from orchestrator.study.spec import StudySpec
from orchestrator.study.yaml_file import apply_overrides, mapping_as_yaml, read_study_file
from trainables.files.uris import is_uri
from trainables.files.weights_file import weights_path
from trainables.specs.data import PATH_FIELDS
from trainables.user_code import code_files

#: Where nodes cache the data is theirs to say.
_DATA_FIELDS = tuple(name for name in PATH_FIELDS if name != "cache_dir")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A study and the files of it that travel.

    Attributes:
        spec: The study.
        study: What `convfleet run` is told where the files lie: a file's name, or a packaged study's.
        files: The content of each file by its path below the working folder, `/` between folders.
        on_nodes: Paths that every node must have itself: data, weights, reused runs.
        settings: `key=value` texts that `convfleet run` gets, as a packaged study has no file to write them into.
    """

    spec: StudySpec
    study: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    on_nodes: Sequence[str] = ()
    settings: Sequence[str] = ()

    def command(self, *, runs: str, folder: str = "") -> str:
        """Returns the command that runs the study on a cluster, or goes on with its run.

        Args:
            runs: The folder of run folders, on the nodes.
            folder: Where the files lie there; empty: where the command runs.
        """
        settings = [word for text in self.settings for word in ("--set", text)]
        words = [
            "convfleet",
            "run",
            str(PurePosixPath(folder) / self.study),
            *settings,
            "--resume-if-there",
            "--address",
            "auto",
            "--runs",
            runs,
        ]
        return shlex.join(words)


def shipment_of(study: str, *, overrides: Sequence[str]) -> Shipment:
    """Returns what of a study travels, after all of it that can be checked without its data is.

    Args:
        study: A study file, or a packaged study's name.
        overrides: `key=value` texts.

    Raises:
        InputError: If the study is wrong, or names by a relative path what does not travel.
    """
    spec = load_study(study, overrides=overrides, has_data=False)
    path = Path(study)
    if not path.is_file() and study in packaged_studies():
        return Shipment(spec=spec, study=study, settings=tuple(overrides), on_nodes=tuple(_on_nodes(spec)))
    content = apply_overrides(read_study_file(path), overrides, where=study)
    _demand_absolute(content, study=study)
    text = mapping_as_yaml(content, where=study).encode() if overrides else path.read_bytes()
    folder = path.absolute().parent
    files = {path.name: text}
    for file in code_files(own_modules(spec), folder=folder):
        files[file.relative_to(folder).as_posix()] = file.read_bytes()
    far = []
    for name in weights_files(spec.space):
        if PurePosixPath(name).is_absolute() or name.startswith("~"):
            far.append(name)
        elif ".." in PurePosixPath(name).parts:
            raise InputError(
                f"{study}: space.params.weights: {name!r} lies outside of the study's folder, which alone travels; put "
                "it beside the study file, or give the absolute path that every node has"
            )
        else:
            files[name] = weights_path(name, folder=str(folder)).read_bytes()
    return Shipment(spec=spec, study=path.name, files=files, on_nodes=(*_on_nodes(spec), *far))


def demand_absolute_runs(runs: str | None) -> str:
    """Returns the folder of run folders on the nodes.

    Args:
        runs: As the user wrote it; None: not at all.

    Raises:
        InputError: If it is not absolute: a job's current folder is a temporary one of Ray's.
    """
    hint = "give the folder that all nodes mount at the same path, such as --runs /mnt/shared/runs"
    if runs is None:
        raise InputError(f"--runs: a job needs one, got nothing; {hint}")
    if is_uri(runs):
        raise InputError(
            f"--runs: expected a folder of the nodes, got {runs!r}; a URI belongs into storage.uri; {hint}"
        )
    if not PurePosixPath(runs).is_absolute():
        raise InputError(
            f"--runs: a job starts in a temporary folder of Ray's, which Ray clears, so {runs!r} would be lost; {hint}"
        )
    return runs


def _demand_absolute(content: Mapping[str, Any], *, study: str) -> None:
    data = content.get("data")
    given = [(f"data.{name}", data.get(name)) for name in _DATA_FIELDS] if isinstance(data, Mapping) else []
    reuse = content.get("reuse") or ()
    given += [("reuse", name) for name in ([reuse] if isinstance(reuse, str) else reuse)]
    problems = [
        f"{study}: {key}: {value!r} is relative to the study file, and does not travel with it; put it on the nodes, "
        f"and give the absolute path that each of them has, such as --set {key}=/mnt/shared/{PurePosixPath(value).name}"
        for key, value in given
        if isinstance(value, str) and not value.startswith(("/", "~"))
    ]
    if problems:
        raise InputError("\n".join(problems))


def _on_nodes(spec: StudySpec) -> list[str]:
    paths = [getattr(spec.data, name) for name in _DATA_FIELDS]
    return list(dict.fromkeys([*(path for path in paths if path), *spec.reuse]))
