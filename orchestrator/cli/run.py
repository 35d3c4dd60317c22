"""Commands that work on a study or a run: run, resume, repair, validate, export."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.console import make_console, print_json, study_description
from orchestrator.cli.init import study_or_draft, workers_ahead
from orchestrator.cli.options import (
    AddressOption,
    DashboardOption,
    JsonOption,
    LabelOption,
    RunArgument,
    SetOption,
    StudyArgument,
    WaitOption,
)
from orchestrator.cli.runs import local_run, shown_beside
from orchestrator.cli.waiting import cluster_awaited
from orchestrator.errors import ExportError, InputError

if TYPE_CHECKING:
    from orchestrator.results.image_shares import ImageShares
    from orchestrator.study.spec import StudySpec
    from orchestrator.views.terminal.progress import Progress
    from trainables.specs.export import ExportResult


def run(
    study: Annotated[
        str,
        typer.Argument(metavar="STUDY", help="A study file, a packaged study's name, or a folder or file of images."),
    ],
    *,
    overrides: SetOption = None,
    minutes: Annotated[
        float | None, typer.Option(help="How long it may take, about; images without a study get ten.")
    ] = None,
    label: LabelOption = None,
    runs: Annotated[Path, typer.Option(help="Where run folders are kept.")] = Path("runs"),
    resume_if_there: Annotated[
        bool,
        typer.Option("--resume-if-there", help="Go on with the run of this study, if there is one: for jobs retried."),
    ] = False,
    address: AddressOption = None,
    wait_for_cluster: WaitOption = False,
    dashboard: DashboardOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a study: train its variants, keep every result, export the best.

    For a folder or a file of images, a study is drafted first, as `convfleet init` does.
    """
    with (
        shown_beside(runs if dashboard else None),
        workers_ahead(study, overrides=overrides or (), address=address),
    ):
        spec, draft = study_or_draft(study, overrides=overrides or (), minutes=minutes, label=label)
        if draft is not None and not as_json:
            print(draft.text)

        from orchestrator.forking.ahead import import_ahead

        def work(progress: "Progress") -> Path:
            from orchestrator.driver.api import run_study

            result = run_study(spec, runs=runs, address=address, progress=progress, resume_if_there=resume_if_there)
            return result.folder.root

        with (
            cluster_awaited(
                address,
                is_wanted=wait_for_cluster,
                resources=lambda: spec.resources,
                options=_json_option(as_json),
                notify=make_console(stderr=as_json).print,
            ),
            # Before anything else is imported.
            import_ahead(spec.resources, address=address),
        ):
            _work(work, as_json=as_json)


def resume(
    run: RunArgument,
    *,
    overrides: SetOption = None,
    runs: Annotated[Path, typer.Option(help="Where a run that a URI names is brought to.")] = Path("runs"),
    address: AddressOption = None,
    wait_for_cluster: WaitOption = False,
    dashboard: DashboardOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go on with an interrupted run, exactly where it stopped, or extend one with --set."""
    from orchestrator.runs.folder import open_run_folder

    folder = local_run(run, runs=runs, with_files=True)
    open_run_folder(folder)

    def work(progress: "Progress") -> Path:
        from orchestrator.driver.api import resume_study

        return resume_study(folder, overrides=overrides or (), address=address, progress=progress).folder.root

    with (
        shown_beside(folder.parent if dashboard else None),
        cluster_awaited(
            address,
            is_wanted=wait_for_cluster,
            resources=lambda: _study_of(folder).resources,
            options=_json_option(as_json),
            notify=make_console(stderr=as_json).print,
        ),
    ):
        _work(work, as_json=as_json)


def repair(
    folder: Annotated[str, typer.Argument(metavar="RUN", help="A run folder such as runs/quickstart.")],
) -> None:
    """Cut a damaged journal where the damage begins, and keep a copy of it."""
    from orchestrator.errors import RunFolderError
    from orchestrator.journal.repair import repair_run
    from trainables.files.uris import is_uri

    if is_uri(folder):
        raise RunFolderError(
            f"{folder}: a copy in remote storage is not repaired; give the run folder itself, such as runs/quickstart"
        )
    for line in repair_run(Path(folder)).lines():
        print(line)


def validate(study: StudyArgument, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Check a study without running it: all mistakes at once, what it would do, and what it would do for nothing."""
    from orchestrator.advice.lint import lint
    from orchestrator.search.auto_algorithm import with_algorithm
    from orchestrator.study.loading import load_study

    spec, chosen = with_algorithm(load_study(study, overrides=overrides or ()))
    advice, search = lint(spec), chosen or spec.search.algorithm
    if as_json:
        numbers = {"space_size": spec.space.size, "trials": spec.num_trials}
        print_json({"study": spec.name, "is_valid": True, **numbers, "search": search, "advice": advice})
        return
    print(study_description(study, spec, overrides=overrides or (), search=search, advice=advice))


def export(
    run: RunArgument,
    top: Annotated[
        str | None, typer.Option(metavar="INTEGER", help="How many of the best; default: the study's.")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="FORMAT", help="keras, onnx, litert_int8 or another; repeatable."),
    ] = None,
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export the best models again, more of them, or in other formats."""
    from orchestrator.journal.reading import load_state
    from orchestrator.runs.folder import open_run_folder
    from orchestrator.study.sections import Export

    for name in formats or ():
        if problem := Export.format_problem(name):
            raise InputError(f"--format: {problem}")
    if top is not None and (problem := Export.top_problem(top)):
        raise InputError(f"--top: {problem}; for example --top 3")
    count = None if top is None else int(top)
    folder = local_run(run, with_files=True)
    load_state(open_run_folder(folder))
    from orchestrator.driver.runner import export_models
    from orchestrator.results.image_shares import image_shares
    from orchestrator.runs.paths import RunFolder
    from orchestrator.views.terminal.progress import make_progress

    console = make_console(stderr=as_json)
    failed: ExportError | None = None
    with make_progress(console) as progress:
        try:
            results = export_models(folder, top=count, formats=tuple(formats or ()), address=address, progress=progress)
        except ExportError as exc:
            results, failed = list(exc.made), exc
    _show_exports(results, shares=image_shares(RunFolder(folder)), as_json=as_json, has_failed=failed is not None)
    if failed is not None:
        raise failed


def _show_exports(results: "Sequence[ExportResult]", *, shares: "ImageShares", as_json: bool, has_failed: bool) -> None:
    from orchestrator.export.acceptance import ACCEPTED, accepted_in
    from orchestrator.export.runtime_lines import runtime_lines
    from orchestrator.results.image_shares import interval_in_words
    from orchestrator.results.words import named_test_metrics

    shown = []
    for result in results:
        metrics = named_test_metrics(result.test_metrics)
        found = {name: interval for name, value in metrics.items() if (interval := shares.interval(name, value))}
        intervals = {"intervals": {name: list(interval) for name, interval in found.items()}} if found else {}
        runtimes = {"runtimes": dict(result.runtimes)} if result.runtimes else {}
        entry = {"rank": result.rank, "trial": result.trial, "folder": result.folder, **metrics}
        accepted = accepted_in([Path(result.folder)])
        shown.append({**entry, **intervals, **runtimes, **({ACCEPTED: accepted} if accepted else {})})
        if not as_json:
            texts = (
                f"{name.replace('_', ' ', 1)} {value:.4f}"
                + (f" ({interval_in_words(found[name])})" if name in found else "")
                for name, value in metrics.items()
            )
            print(f"{result.rank}. {result.trial}: {', '.join(texts)}  {result.folder}")
            for line in runtime_lines(result.runtimes):
                print(f"   {line}")
            if accepted:
                print(f"   accepted: {accepted['words']}")
    if as_json:
        print_json(shown)
        return
    if not results and not has_failed:
        print("no trial has a result to export yet")


def _json_option(as_json: bool) -> list[str]:
    return ["--json"] if as_json else []


def _study_of(folder: Path) -> "StudySpec":
    from orchestrator.runs.paths import RunFolder
    from orchestrator.study.loading import load_study

    return load_study(RunFolder(folder).study)


def _work(work: Callable[["Progress"], Path], *, as_json: bool) -> None:
    """Shows the progress of a run or a resume, then prints the summary of the run."""
    from trainables.machine.imports import quick_imports

    with quick_imports():
        from orchestrator.driver.api import open_run
        from orchestrator.views.terminal.progress import make_progress
        from orchestrator.views.terminal.status_json import status_json
        from orchestrator.views.terminal.summary import print_summary

    console = make_console(stderr=as_json)
    failed_exports: ExportError | None = None
    with make_progress(console) as progress:
        try:
            root = work(progress)
        except ExportError as exc:
            if exc.run is None:
                raise
            # The study has ended well: its results are shown as ever, and then what could not be exported.
            root, failed_exports = exc.run, exc
    result = open_run(root)
    if as_json:
        print_json(status_json(result.state, folder=result.folder, is_alive=False))
    else:
        print_summary(console, result.state, folder=result.folder)
    if failed_exports is not None:
        raise failed_exports
