"""The command that drafts a study file for images that lie somewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import JsonOption, LabelOption
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from orchestrator.draft.drafting import Draft
    from orchestrator.study.spec import StudySpec

_TO_STDOUT = Path("-")


def init(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A folder of images, a table, or a file of another source.")
    ],
    *,
    minutes: Annotated[float, typer.Option(help="How long the study may take, about.")] = 10,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The study file; - prints it. Default: NAME.yaml here."),
    ] = None,
    label: LabelOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the study file if it exists.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at images and write a study file for them, each choice with its reason."""
    from orchestrator.draft.drafting import choices_json, study_name
    from trainables.files.whole import write_whole

    is_printed = output == _TO_STDOUT
    file = output or Path(f"{study_name(data)}.yaml")
    if not is_printed and file != data:
        _check_free(file, force=force)
    draft = drafted(data, minutes=minutes, label=label, base=Path.cwd() if is_printed else file.absolute().parent)
    if not is_printed:
        write_whole(file, draft.text)
    if as_json:
        name = None if is_printed else str(file)
        content = {"study": draft.spec.name, "file": name, "choices": choices_json(draft.choices)}
        print_json({**content, "notes": list(draft.notes)})
    elif is_printed:
        print(draft.text, end="")
    else:
        print(f"{draft.text}\n{file}: written; change what you know better, then: convfleet run {file}")


def drafted(data: Path, *, minutes: float, label: str | None, base: Path) -> "Draft":
    """Returns the draft for images, and shows on standard error what is under way.

    Args:
        data: A file or a folder.
        minutes: How long the study may take.
        label: The column of the labels.
        base: The folder of the study file.
    """
    from orchestrator.draft.drafting import draft_study
    from orchestrator.views.terminal.progress import make_progress

    with make_progress(make_console(stderr=True)) as progress:
        return draft_study(data, minutes=minutes, label=label, base=base, notify=progress.message)


def study_or_draft(
    study: str, *, overrides: Sequence[str], minutes: float | None, label: str | None
) -> "tuple[StudySpec, Draft | None]":
    """Returns the study of a file or a packaged one, or a draft for a folder or a file of images.

    Args:
        study: What the user names.
        overrides: `key=value` texts.
        minutes: How long the study may take; None: as the study says, for a draft ten.
        label: The column of the labels, for a draft.
    """
    from orchestrator.draft.budget import search_minutes
    from orchestrator.study.loading import load_study

    if _is_data(study):
        from orchestrator.draft.drafting import MINUTES, overridden

        wanted = MINUTES if minutes is None else minutes
        draft = drafted(Path(study), minutes=wanted, label=label, base=Path.cwd())
        return overridden(draft, overrides=overrides), draft
    if label is not None:
        raise InputError(f"--label {label}: is for folders and files of images, got the study {study!r}")
    if minutes is not None:
        overrides = [*overrides, f"search.minutes={search_minutes(minutes)}"]
    return load_study(study, overrides=overrides), None


@contextmanager
def workers_ahead(study: str, *, overrides: Sequence[str], address: str | None) -> Iterator[None]:
    """Starts the import of what workers need while a study is drafted for images; a study file is read at once.

    Args:
        study: What the user names.
        overrides: `key=value` texts; where one is of the resources, those of the draft are not known yet.
        address: That of a running cluster; None: a Ray of this machine alone comes.
    """
    if not _is_data(study) or any(text.startswith("resources") for text in overrides):
        yield
        return
    from orchestrator.forking.ahead import import_ahead
    from orchestrator.study.sections import Resources
    from trainables.machine.imports import imported_meanwhile

    # This process waits for others that look at the images; Ray alone takes two seconds to import.
    with import_ahead(Resources(), address=address), imported_meanwhile("orchestrator.driver.runner"):
        yield


def _is_data(study: str) -> bool:
    """Returns whether the user names images, not a study."""
    path = Path(study)
    try:
        if path.is_dir() and study:
            return True
        is_file = path.is_file() and path.suffix.lower() not in (".yaml", ".yml")
    except OSError:
        return False
    if not is_file:
        return False
    # Late: the sources are slow to import, and a study file needs none of them yet.
    from trainables.data.guess.files import source_by_name

    return bool(source_by_name(path.name))


def _check_free(file: Path, *, force: bool) -> None:
    """Raises InputError if a study file cannot be written, before the data is looked at."""
    if file.is_dir():
        raise InputError(f"{file}: is a folder, expected a file to write; name one with -o, or print with -o -")
    if file.exists() and not force:
        raise InputError(f"{file}: exists already; overwrite it with --force, or name another file with -o")
    if not file.absolute().parent.is_dir():
        raise InputError(f"{file}: its folder does not exist; make it, or name another file with -o")
