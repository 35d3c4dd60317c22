"""What pages show is what runs: study files are valid, Python runs, commands exist."""

import io
import re
import runpy
import shlex
import shutil
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import typer.main
from made_exports import REAL_RUN, write_export
from served_models import fake_runtime, make_registry_of, settings_of
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.registry.registry import Registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SNIPPETS = DOCS / "snippets"
STUDIES = sorted((SNIPPETS / "studies").glob("*.yaml"))
SHELL = sorted((SNIPPETS / "shell").glob("*.sh"))

#: What study files name beside themselves; `convfleet validate` asks only whether it exists.
NEIGHBOURS = (
    "cifar10-train.parquet",
    "cifar10-test.parquet",
    "street.parquet",
    "cells.parquet",
    "cells.csv",
    "cells/images/",
    "cells/masks/",
    "pairs.npz",
    "flowers/",
    "train.csv",
    "test.csv",
    "train_images/",
    "test_images/",
    "runs/digits-small/study.yaml",
    "runs/digits-small/journal.jsonl",
)
#: Snippets of commands that no test runs, each with why; their options and files are checked all the same.
NOT_RUN = {
    "benchmarks.sh": "takes hours",
    "cifar10-parquet.sh": "needs CIFAR-10",
    "cluster.sh": "needs a cluster; tests/cluster/test_launcher.py has one",
    "jobs.sh": "needs a cluster; tests/cluster/test_launch.py has one",
    "launch.sh": "needs a cluster; tests/cluster/test_launch.py has one",
    "kubernetes.sh": "needs Kubernetes; tests/orchestrator/cluster/kubernetes checks the manifests",
    "elsewhere.sh": "needs a bucket; tests/e2e/test_storage_elsewhere.py has one",
    "ensemble.sh": "exports an ensemble; tests/e2e/test_ensembles.py",
    "export.sh": "exports five models; tests/e2e export",
    "extend.sh": "trains 44 more trials; tests/e2e extend",
    "faults.sh": "takes an hour; short forms run in tests/faults",
    "install-tests.sh": "needs a network; CI runs it",
    "install.sh": "needs a network; CI runs it",
    "draft.sh": "looks at images of the reader's",
    "own-images.sh": "trains on images of the reader's",
    "own-model.sh": "trains for minutes; the function is called below",
    "peers.sh": "takes hours",
    "use-export.sh": "answers for images of the reader's; tests/trainables/predicting",
    "dashboard.sh": "runs until Ctrl-C; tests/orchestrator/dashboard",
    "steer.sh": "asks a study that runs; tests/e2e/test_steering.py",
    "track.sh": "follows a run; tests/orchestrator/trackers",
    "serve.sh": "runs until Ctrl-C; tests/e2e/test_serving.py",
    "serve-on-cluster.sh": "needs a cluster; tests/cluster/test_served.py",
    "ask-server.sh": "needs a server; tests/e2e/test_serving.py",
}
RUN = {"look.sh", "registry.sh"}
#: Snippets of Python that are cells of a notebook; tests/e2e/test_notebook.py runs them.
CELLS = ("notebook_run.py", "notebook_resume.py", "notebook_figure.py")


@pytest.fixture
def neighbours(tmp_path, monkeypatch):
    """A folder with the snippets' study files and what they name."""
    shutil.copytree(SNIPPETS / "studies", tmp_path, dirs_exist_ok=True)
    for name in NEIGHBOURS:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [path.name for path in STUDIES])
def test_a_study_file_of_the_pages_is_valid(neighbours, name):
    result = CliRunner().invoke(app, ["validate", name])
    assert (result.exit_code, result.exception) == (0, None)


def test_a_study_file_with_a_mistake_is_not(neighbours):
    text = (neighbours / "limits.yaml").read_text(encoding="utf-8").replace("trials: 12", "trails: 12")
    (neighbours / "limits.yaml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["validate", "limits.yaml"])
    assert "did you mean 'trials'?" in str(result.exception)


def test_mistakes_are_shown_as_the_page_shows_them(neighbours):
    text = (SNIPPETS / "studies" / "built-in-space.yaml").read_text(encoding="utf-8")
    broken = text.replace("cnn-small", "cnn-smal").replace("trials: 12", "trials: 0, algorithm: tpee")
    (neighbours / "my-study.yaml").write_text(f"{broken}schedule: {{max_epoch: 9}}\n", encoding="utf-8")
    shown = (SNIPPETS / "output" / "mistakes.txt").read_text(encoding="utf-8").splitlines()
    told = str(CliRunner().invoke(app, ["validate", "my-study.yaml"]).exception).splitlines()
    assert sorted(f"error: {line}" for line in told) == sorted(shown)


def test_every_snippet_stands_in_a_page():
    texts = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md") if "_build" not in path.parts)
    shown = set(re.findall(r"snippets/([\w/.-]+)", texts))
    listed = [path for kind in (".sh", ".yaml", ".py", ".txt", "Dockerfile") for path in SNIPPETS.glob(f"*/*{kind}")]
    assert {path.relative_to(SNIPPETS).as_posix() for path in listed} == shown


def test_every_shell_snippet_is_run_or_says_why_not():
    assert {path.name for path in SHELL} == NOT_RUN.keys() | RUN


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_commands_of_a_shell_snippet_exist_with_their_options(path):
    commands = typer.main.get_command(app).commands
    for words in command_lines(path):
        match words:
            case ["convfleet", "registry" | "jobs" as group, name, *rest]:
                commands[group].commands[name].make_context(name, rest)
            case ["convfleet", name, *rest]:
                commands[name].make_context(name, rest)
            case ["python", script, *_] if script.endswith(".py"):
                assert (ROOT / script).is_file()
            case (
                ["python", "-m", "pip" | "pytest", *_]
                | ["ray", "down", "cluster.yaml"]
                | ["kubectl", "port-forward", *_]
                | ["export", *_]
                | ["cd", _]
                | ["curl", *_]
            ):
                pass
            case _:
                pytest.fail(f"{path.name}: nobody checks {shlex.join(words)}")


def command_lines(path):
    """Yields the words of every command, without the variables before it."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ").replace("&&", "\n")
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words:
            yield words


@pytest.fixture(scope="module")
def python(run_python):
    """Runs a Python snippet in a folder and returns what it printed."""

    def run(name, *, folder):
        code = (SNIPPETS / "python" / name).read_text(encoding="utf-8")
        return run_python(code, name=name, folder=folder)

    return run


@pytest.fixture(scope="module")
def run_of_first_study(python, tmp_path_factory):
    """The folder in which the first study of the pages ran, and what it printed."""
    folder = tmp_path_factory.mktemp("first_study")
    return folder, python("first_study.py", folder=folder)


@pytest.mark.slow
def test_the_first_study_trains_and_shows_a_leaderboard(run_of_first_study):
    folder, printed = run_of_first_study
    assert re.search(r"rank.*\n0 +1 ", printed)
    assert (folder / "runs" / "quickstart" / "trials.parquet").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("analyze.py", r"(?s)parameter: .*value: .*'core_seconds': .*\n\d+ \d"),
        ("load_export.py", r"\(None, 8, 8, 1\)"),
        ("load_saved_model.py", r"\(2, 10\)"),
        ("models_by_name.py", r"\w+ \d+ \d+ whole\n\(None, 10\)\n"),
        ("models_by_function.py", r"\(2, 10\)\n"),
        ("models_iterated.py", r"t0000 \w+ 0\.\d+\n(?s:.*)t00\d\d \d+\n\d+\n"),
        ("open_run.py", r"\['t0\d+', .*\n\['trial', 'epoch'"),
        ("query_duckdb.py", r"best_val_accuracy"),
        ("query_pandas.py", r"(?s)family.*epoch"),
        ("query_while_it_runs.py", r"completed|stopped"),
        ("read_journal.py", r"Counter\(\{'epoch_reported': \d+"),
    ],
)
def test_a_python_snippet_runs_on_the_first_study(run_of_first_study, python, name, printed):
    folder, _ = run_of_first_study
    assert re.search(printed, python(name, folder=folder))


@pytest.fixture(scope="module")
def exported_for_runtimes(run_of_first_study, python):
    """The folder of the first study, its best model exported in all formats, and what that printed."""
    folder, _ = run_of_first_study
    return folder, python("export_for_runtimes.py", folder=folder)


@pytest.mark.slow
def test_the_best_model_is_exported_for_other_runtimes(exported_for_runtimes):
    _, printed = exported_for_runtimes
    files = ["manifest.json", "model.keras", "model.onnx", "model.tflite", "model_card.html", "model_card.md"]
    # The picture is of mistakes, which a model need not make.
    assert printed.replace(", 'worst_mistakes.png'", "") == f"{[*files, 'openvino', 'saved_model']}\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["load_litert.py", "load_onnx.py", "load_openvino.py"])
def test_a_python_snippet_of_another_runtime_runs_on_the_first_study(exported_for_runtimes, python, name):
    folder, _ = exported_for_runtimes
    assert python(name, folder=folder) == "(2, 10)\n"


def test_a_server_is_asked_as_the_page_asks_it(tmp_path, monkeypatch, capsys):
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from orchestrator.serving.application import application_of

    application = application_of(settings_of(make_registry_of(tmp_path)))
    with fake_runtime(), TestClient(application) as client:

        def ask(request):
            answer = client.post(request.full_url, content=request.data)
            assert answer.status_code == 200, answer.text
            return io.BytesIO(answer.content)

        monkeypatch.setattr(urllib.request, "urlopen", ask)
        runpy.run_path(str(SNIPPETS / "python" / "ask_server.py"))
    assert capsys.readouterr().out == "1 [2, 2]\n"


@pytest.mark.slow
def test_every_python_snippet_is_run():
    run = re.findall(r'"(\w+\.py)"', Path(__file__).read_text(encoding="utf-8"))
    assert {path.name for path in (SNIPPETS / "python").glob("*.py")} <= set(run)


@pytest.mark.slow
def test_commands_that_look_at_a_run_work_as_written(run_of_first_study, monkeypatch):
    folder, _ = run_of_first_study
    monkeypatch.chdir(folder)
    for _, *words in command_lines(SNIPPETS / "shell" / "look.sh"):
        result = CliRunner().invoke(app, words)
        assert (result.exit_code, result.exception) == (0, None)
    assert (folder / "runs" / "quickstart" / "report.html").is_file()


DIGITS = (8, 8, 1)


@pytest.fixture(scope="module")
def registry_folder(tmp_path_factory):
    """A folder with a run of two exports, and a registry of both and of a model that gives a number."""
    import keras

    folder = tmp_path_factory.mktemp("registry")
    shutil.copytree(REAL_RUN, folder / "runs" / "quickstart")
    layers = [keras.Input(DIGITS, name="image"), keras.layers.Flatten(), keras.layers.Dense(1, name="ink")]
    (folder / "ink").mkdir()
    keras.Sequential(layers).save(folder / "ink" / "model.keras")
    outputs = [{"name": "output_0", "kind": "regression", "shape": [None, 1], "class_names": []}]
    write_export(folder / "ink", files={}, outputs=outputs)
    registry = Registry(folder / "registry")
    for source, name, rank in (
        ("runs/quickstart", "digits", 1),
        ("runs/quickstart", "digits", 2),
        ("ink", "ink", None),
    ):
        registry.add(folder / source, name=name, rank=rank, alias="production")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("registry_load.py", r"t0005 \['\d', '\d', '\d'\]"),
        ("registry_by_name.py", r"digit \(3, 10\)\nink \(3, 1\)\n2\n"),
        ("registry_by_function.py", r"\[7\. 7\.\]\n\(2, 10\)\n"),
        ("registry_as_attributes.py", r"digit \d ink 0\.0\n"),
    ],
)
def test_a_python_snippet_of_the_registry_runs(registry_folder, python, name, printed):
    assert re.fullmatch(printed.removesuffix(r"\n") + r"\n", python(name, folder=registry_folder))


def test_commands_of_the_registry_work_as_written(tmp_path, monkeypatch):
    shutil.copytree(REAL_RUN, tmp_path / "runs" / "quickstart")
    monkeypatch.chdir(tmp_path)
    for _, *words in command_lines(SNIPPETS / "shell" / "registry.sh"):
        result = CliRunner().invoke(app, words)
        assert (result.exit_code, result.exception) == (0, None)
    model = Registry("registry").model("digits")
    assert (list(model.versions), model.aliases) == ([1], {"candidate": 1, "production": 1})


@pytest.mark.slow
def test_the_function_of_a_users_own_model_is_accepted(neighbours):
    from orchestrator.study.loading import load_study
    from search_spaces import make_variant
    from trainables.families.building import build_model
    from trainables.specs.task import Task

    spec = load_study(neighbours / "my-nets.yaml")
    values = {parameter.name: next(iter(lowest(parameter.domain))) for parameter in spec.space.parameters}
    variant = make_variant(spec.space, values, seed=spec.seed)
    task = Task.classification(input_shape=DIGITS, num_classes=10)
    model = build_model(variant, task=task, study_dir=spec.study_dir)
    assert model(np.zeros((2, *DIGITS), "float32")).shape == (2, 10)


def lowest(domain):
    """Returns the first values of a domain."""
    return (domain.low,) if hasattr(domain, "low") else domain.values()
