"""A study file or a packaged study, loaded, completed with defaults and checked."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import StudyFileError
from orchestrator.runs.paths import RunFolder
from orchestrator.study.checks import check_study, task_problems
from orchestrator.study.custom_parameters import found_parameters
from orchestrator.study.input_paths import path_problems, resolved, reuse_problems
from orchestrator.study.messages import problems_of
from orchestrator.study.objectives import constraint_problems, list_problems, with_usual_metric
from orchestrator.study.own_code import with_code, with_source
from orchestrator.study.pretrained_weights import with_weights_files
from orchestrator.study.spec import Policy, StudySpec
from orchestrator.study.yaml_file import apply_overrides, mapping_as_yaml, read_study_file
from orchestrator.text import printable, shown
from search_spaces import Problem, SearchSpace, nearest, parse_space
from trainables.specs.data import DataSpec

#: What a study that is no file is called in errors.
_MAPPING = "study"
_STUDIES = resources.files("orchestrator") / "studies"


def packaged_studies() -> list[str]:
    """Returns the names of the studies that come with the package."""
    return sorted(path.name.removesuffix(".yaml") for path in _STUDIES.iterdir() if path.name.endswith(".yaml"))


def load_study(
    source: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = (), has_data: bool = True
) -> StudySpec:
    """Returns the study of a file or a dictionary, or the packaged study of that name.

    Examples:
        >>> import convfleet
        >>> study = convfleet.load_study("quickstart", overrides=["schedule.max_epochs=3"])
        >>> study.num_trials, study.schedule.max_epochs
        (16, 3)
        >>> convfleet.load_study({"name": "mine", "data": {"source": "digits"}, "space": "cnn-small"}).name
        'mine'

    Args:
        source: A path, a name that `packaged_studies` lists, or a dictionary with the keys of a study file; relative
            paths and modules of a dictionary start at the current folder.
        overrides: `key=value` texts such as `schedule.max_epochs=3`; values are YAML, relative paths start at
            the current folder.
        has_data: Whether data and reused runs must lie on this machine; False for a study that others will run.

    Returns:
        The study, complete and checked.

    Raises:
        StudyFileError: With all mistakes, one a line.
        InputError: If an override cannot be set.
    """
    if isinstance(source, Mapping):
        mapping = apply_overrides(mapping_as_yaml(source, where=_MAPPING), overrides, where=_MAPPING)
        return parse_study(mapping, base=Path.cwd(), where=_MAPPING, has_data=has_data)
    text, base, where, study_dir = _find_study(source)
    mapping = apply_overrides(text, overrides, where=where)
    # A run has its reused trials already; the runs that they came from may be gone when it goes on, and trackers are
    # asked then, which keep nothing from going on.
    is_run = Path(source).name == RunFolder(Path()).study.name and RunFolder(Path(source).parent).journal.is_file()
    return parse_study(mapping, base=base, where=where, study_dir=study_dir, is_run=is_run, has_data=has_data)


def load_policy(study: Path, *, overrides: Sequence[str] = ()) -> Policy:
    """Returns how the study of a run spends; neither its data nor code of a user's own need to be there.

    Args:
        study: The run's study.yaml.
        overrides: `key=value` texts such as `schedule.algorithm=asha`.

    Raises:
        StudyFileError: With all mistakes, one a line.
        InputError: If an override cannot be set.
    """
    mapping = apply_overrides(read_study_file(study), overrides, where=str(study))
    try:
        return Policy.model_validate(mapping)
    except ValidationError as exc:
        raise StudyFileError(
            "\n".join(f"{study}: {printable(str(problem))}" for problem in problems_of(exc, Policy))
        ) from exc


def load_space(study: Path) -> SearchSpace | None:
    """Returns the space of a run's study; None where it cannot be read without its data and code of a user's own.

    Args:
        study: The run's study.yaml.
    """
    try:
        content = read_study_file(study)
        return parse_space(apply_overrides(content, (), where=str(study)).get("space"))[0]
    except StudyFileError:
        return None


def parse_study(  # noqa: PLR0913 - a mapping, and where all it names lies
    mapping: object,
    *,
    base: Path,
    where: str = "study",
    study_dir: Path | None = None,
    is_run: bool = False,
    has_data: bool = True,
) -> StudySpec:
    """Returns the study that a mapping describes.

    Args:
        base: The folder that relative paths start from.
        where: The name of the mapping in errors.
        study_dir: The folder that relative names in variants start from; None: `base`.
        is_run: Whether the mapping is the study of a run that has begun.
        has_data: Whether data and reused runs must lie on this machine.

    Raises:
        StudyFileError: With all mistakes, one a line.
    """
    if not isinstance(mapping, Mapping):
        raise StudyFileError(
            f"{where}: expected a mapping with name, data and space, got {shown(mapping)}; `convfleet run quickstart` "
            "runs an example"
        )
    content = _with_fold({str(key): value for key, value in mapping.items()})
    data = _data_alone(content)
    if data is not None:
        content["objective"] = with_usual_metric(content.get("objective", {}), data)
    # A packaged study's paths start at the current folder, but its modules come with the package.
    folder = _study_folder(content, study_dir or base)
    space, problems = _parse_space(content, folder=folder)
    checkable = space or _without_broken_params(content.get("space"), problems)
    if found := list_problems(objective := content.get("objective")):
        problems += found
        del content["objective"]
    if found := constraint_problems(content.get("constraints", ()), data, space=checkable):
        problems += found
        del content["constraints"]
    spec: StudySpec | None = None
    try:
        # With a stand-in, pydantic checks the other sections although the space is wrong.
        spec = StudySpec.model_validate({**content, "space": space or _stand_in()})
    except ValidationError as exc:
        problems += problems_of(exc, StudySpec)
    if checkable is not None:
        problems += check_study(spec if space else None, space=checkable)
    if data is not None:
        missing = path_problems(data, base=base) if has_data else []
        problems += [*task_problems(data, objective, space=checkable), *missing]
    if spec is not None and checkable is not None:
        spec, found = with_code(spec, space=checkable, folder=folder)
        problems += found
    if spec is not None and has_data and not is_run:
        problems += reuse_problems(spec.reuse, base=base) + spec.track.problems()
    if problems or spec is None:
        raise StudyFileError("\n".join(f"{where}: {printable(str(problem))}" for problem in problems))
    reuse = tuple(str(resolved(given, base=base)) for given in spec.reuse)
    resolved_data = _with_function_dir(spec.data, base=base, folder=folder).resolved(base)
    return spec.model_copy(update={"data": resolved_data, "reuse": reuse, "study_dir": str(folder)})


def _with_function_dir(data: DataSpec, *, base: Path, folder: Path) -> DataSpec:
    """Returns the data section with its function's folder: the study's, unless `base` has the module."""
    if data.source != "python" or data.function_dir is not None:
        return data
    module = (data.function or "").partition(":")[0].partition(".")[0]
    is_in_base = (base / f"{module}.py").is_file() or (base / module).is_dir()
    return data if is_in_base else data.model_copy(update={"function_dir": str(folder)})


def _find_study(source: str | Path) -> tuple[str, Path, str, Path | None]:
    """Returns a study file's text, the folder of its paths, its name in errors, and the folder of its modules."""
    path, known = Path(source), packaged_studies()
    try:
        if path.is_file():
            return read_study_file(path), path.absolute().parent, str(path), None
        what = "is a folder, not a study file" if path.is_dir() and str(source) else "no such study file"
    except OSError as exc:
        what = f"cannot be looked for ({exc.strerror})"
    if what == "no such study file" and str(source) in known:
        text = (_STUDIES / f"{source}.yaml").read_text(encoding="utf-8")
        return text, Path.cwd(), str(source), Path(str(_STUDIES))
    raise StudyFileError(
        f"{shown(str(source))}: {what}; give a YAML file, or one of the packaged studies {', '.join(known)}"
        f"{nearest(str(source), known)}"
    )


def _with_fold(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a study whose search validates on the first fold where it names none and replicates take the others."""
    data, search = content.get("data"), content.get("search")
    takes_turns = isinstance(search, Mapping) and search.get("replicate_on", "seeds") != "seeds"
    if takes_turns and isinstance(data, Mapping) and data.get("folds") is not None and data.get("fold") is None:
        return {**content, "data": {**data, "fold": 1}}
    return dict(content)


def _data_alone(content: Mapping[str, Any]) -> DataSpec | None:
    """Returns the data section if it has no mistake, whether or not other sections have; else None."""
    try:
        return DataSpec.model_validate(content.get("data"))
    except ValidationError:
        return None


def _without_broken_params(raw: object, problems: Sequence[Problem]) -> SearchSpace | None:
    """Returns the space without the parameters that could not be read, so that `check_study` checks the others."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("params"), Mapping):
        return None
    broken = {problem.path.split(".")[2] for problem in problems if problem.path.startswith("space.params.")}
    kept = {name: entry for name, entry in raw["params"].items() if str(name) not in broken}
    return parse_space({**raw, "params": kept})[0]


def _study_folder(content: Mapping[str, Any], folder: Path) -> Path:
    """Returns the folder that names in variants start from; `StudySpec` refuses a study_dir that is not a text."""
    given = content.get("study_dir", "")
    return folder.absolute() / given if isinstance(given, str) else folder.absolute()


def _parse_space(content: Mapping[str, Any], *, folder: Path) -> tuple[SearchSpace | None, list[Problem]]:
    if "space" not in content:
        message = "is required, got nothing; name a built-in space such as cnn-small, or write one"
        return None, [Problem(path="space", message=message)]
    found, problems = found_parameters(content["space"], folder=folder)
    if problems:
        return None, problems
    space, problems = parse_space(content["space"], inherited=found)
    if space is None:
        return None, problems
    return with_weights_files(*with_source(space, folder=folder), folder=folder)


def _stand_in() -> SearchSpace:
    space, _ = parse_space({"family": "sequential"})
    if space is None:
        raise StudyFileError("space: not even a plain family is a space")
    return space
