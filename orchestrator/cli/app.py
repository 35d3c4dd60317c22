"""The command line: the only place that prints for people and exits."""

import os
import sys
from typing import NoReturn

import typer

from orchestrator.cli.ask import doctor, families, spaces
from orchestrator.cli.cluster.jobs import jobs_app
from orchestrator.cli.cluster.launch import launch
from orchestrator.cli.init import init
from orchestrator.cli.look import analyze, report, status
from orchestrator.cli.models.dashboard import dashboard
from orchestrator.cli.models.diff import diff
from orchestrator.cli.models.ensemble import ensemble
from orchestrator.cli.models.evaluate import evaluate
from orchestrator.cli.models.models import show_models
from orchestrator.cli.models.predict import predict
from orchestrator.cli.models.serve import serve
from orchestrator.cli.models.track import track
from orchestrator.cli.options import EXIT_FAILED, EXIT_INPUT, EXIT_PAUSED
from orchestrator.cli.plan import plan
from orchestrator.cli.registry import registry_app
from orchestrator.cli.replay import replay
from orchestrator.cli.run import export, repair, resume, run, validate
from orchestrator.cli.steering.studies import add_variant, note, pause_study, tag
from orchestrator.cli.steering.trials import keep, star, stop
from orchestrator.errors import InputError, OrchestratorError, StudyPausedError

app = typer.Typer(
    help="Trains a fleet of CNN variants and keeps the best.\n\nStart with: convfleet run quickstart",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)

#: In the order of `convfleet --help`: each command, and its example.
for _command, _example in (
    (run, "run quickstart --set search.trials=12"),
    (launch, "launch flowers.yaml --on http://127.0.0.1:8265 --runs /mnt/shared/runs"),
    (init, "init flowers --minutes 10"),
    (plan, "plan quickstart --slots 8"),
    (resume, "resume runs/quickstart --set search.trials=60"),
    (status, "status runs/quickstart --json"),
    (stop, "stop runs/quickstart t0007"),
    (keep, "keep runs/quickstart t0007"),
    (add_variant, "add runs/quickstart --param filters=16 --param learning_rate=0.003"),
    (pause_study, "pause runs/quickstart"),
    (note, "note runs/quickstart t0007 'learns slowly, but steadily'"),
    (star, "star runs/quickstart t0007"),
    (tag, "tag runs/quickstart baseline 'for the paper'"),
    (analyze, "analyze runs/quickstart"),
    (replay, "replay runs/quickstart --schedule none --schedule asha"),
    (repair, "repair runs/quickstart"),
    (validate, "validate my-study.yaml --set search.trials=50"),
    (spaces, "spaces cnn-small"),
    (families, "families"),
    (doctor, "doctor"),
    (report, "report runs/quickstart"),
    (export, "export runs/quickstart --top 5 --format keras"),
    (dashboard, "dashboard runs"),
    (show_models, "models runs/quickstart --sort val_accuracy --where 'parameters<=1e5'"),
    (diff, "diff runs/quickstart t0003 t0007"),
    (track, "track runs/quickstart --to tensorboard"),
    (ensemble, "ensemble runs/quickstart --size 8"),
    (predict, "predict runs/quickstart/exports/1-t0002 photos --top 3"),
    (evaluate, "evaluate runs/quickstart/exports/1-t0002 --data photos"),
    (serve, "serve registry --port 8000"),
):
    app.command(_example.partition(" ")[0], epilog=f"Example: convfleet {_example}")(_command)
app.add_typer(jobs_app, name="jobs")
app.add_typer(registry_app, name="registry")


def main() -> NoReturn:
    """Runs the command line; the console script `convfleet`."""
    try:
        app(prog_name="convfleet")
    except InputError as exc:
        _fail(exc, code=EXIT_INPUT)
    except StudyPausedError as exc:
        _fail(exc, code=EXIT_PAUSED)
    except OrchestratorError as exc:
        _fail(exc, code=EXIT_FAILED)
    except OSError as exc:
        _fail(OrchestratorError(f"the system refused something ({exc}); mend that and try again"), code=EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_PAUSED)
    sys.exit(0)


def _fail(error: OrchestratorError, *, code: int) -> NoReturn:
    """Prints an error without a traceback and exits."""
    word = "paused" if code == EXIT_PAUSED else "error"
    style = "" if not sys.stderr.isatty() else ("\033[33m" if code == EXIT_PAUSED else "\033[31m")
    if os.environ.get("NO_COLOR"):
        style = ""
    end = "\033[0m" if style else ""
    for line in str(error).splitlines():
        print(f"{style}{word}:{end} {line}", file=sys.stderr)
    sys.exit(code)
