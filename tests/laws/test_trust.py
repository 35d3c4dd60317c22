"""What is read from disk is data: nothing in the packages runs it, and no other file can be reached through it."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import RunFolderError
from orchestrator.runs.foreign_files import refuse_foreign_files
from orchestrator.runs.paths import RunFolder

ROOT = Path(__file__).parents[2]
PACKAGES = ("search_spaces", "trainables", "orchestrator", "convfleet")
UNPICKLERS = {"pickle", "_pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
#: Calls that run what they are given, by how they are written.
RUNNERS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "ray.cloudpickle.loads"}
#: The one module that opens archives, to read their files one by one; unpacking is found in it as in any other.
READS_ARCHIVES = ROOT / "trainables/data/records/tar_members.py"
UNPACKERS = {"extractall", "extract", "unpack_archive"}


def complaints(path: Path) -> Iterator[str]:
    """Yields every way in a module to run what a file says, or to write where it says."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tarfile.open" and path != READS_ARCHIVES:
            yield "calls tarfile.open"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"imports {name}" for name in names if name.split(".")[0] in UNPICKLERS)
        elif isinstance(node, ast.Call):
            yield from _complaints_of_call(node, ast.unparse(node.func), tree=tree)


def _complaints_of_call(call: ast.Call, name: str, *, tree: ast.Module) -> Iterator[str]:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    last = name.rpartition(".")[2]
    if name in RUNNERS or last in UNPACKERS:
        yield f"calls {name}"
    if name in ("np.load", "numpy.load") and not _is(given.get("allow_pickle"), False):
        yield "loads arrays without allow_pickle=False"
    if "allow_pickle" in given and not _is(given["allow_pickle"], False):
        yield "allows pickles"
    if last == "load_model" and name.startswith("keras") and not _is(given.get("safe_mode"), True):
        yield "loads a model without safe_mode=True"
    if last == "enable_unsafe_deserialization" or _is(given.get("safe_mode"), False):
        yield "switches Keras's safe mode off"
    if name.startswith("yaml.") and last.endswith(("load", "load_all")) and last not in ("safe_load", "safe_load_all"):
        loader = ast.unparse(given["Loader"]) if "Loader" in given else ""
        bases = {node.name: [ast.unparse(base) for base in node.bases] for node in tree.body if _is_class(node)}
        if last != "load" or "yaml.SafeLoader" not in (loader, *bases.get(loader, [])):
            yield "loads YAML by another loader than a safe one"
    if _is(given.get("shell"), True):
        yield "starts a shell"


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _is_class(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_runs_what_it_reads(package: str) -> None:
    found = {str(path): list(complaints(path)) for path in sorted((ROOT / package).rglob("*.py"))}
    assert {path: problems for path, problems in found.items() if problems} == {}


PLANTS = [
    ("import pickle", "imports pickle"),
    ("from cloudpickle import loads", "imports cloudpickle"),
    ("value = eval(text)", "calls eval"),
    ("exec(text)", "calls exec"),
    ("__import__(name)", "calls __import__"),
    ("os.system(text)", "calls os.system"),
    ("zipfile.ZipFile(path).extractall(folder)", "calls zipfile.ZipFile(path).extractall"),
    ("tarfile.open(path)", "calls tarfile.open"),
    ("np.load(path)", "loads arrays without allow_pickle=False"),
    ("np.load(path, allow_pickle=True)", "allows pickles"),
    ("np.load(path, allow_pickle=is_trusted)", "allows pickles"),
    ("keras.models.load_model(path)", "loads a model without safe_mode=True"),
    ("keras.saving.load_model(path, safe_mode=False)", "switches Keras's safe mode off"),
    ("keras.config.enable_unsafe_deserialization()", "switches Keras's safe mode off"),
    ("yaml.load(text)", "loads YAML by another loader than a safe one"),
    ("yaml.load(text, Loader=yaml.UnsafeLoader)", "loads YAML by another loader than a safe one"),
    ("class Mine(yaml.Loader): pass\nyaml.load(text, Loader=Mine)", "loads YAML by another loader than a safe one"),
    ("yaml.full_load(text)", "loads YAML by another loader than a safe one"),
    ("subprocess.run(text, shell=True)", "starts a shell"),
]


@pytest.mark.parametrize(("code", "complaint"), PLANTS, ids=[code for code, _ in PLANTS])
def test_planted_danger_is_found(code: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(code, encoding="utf-8")
    assert complaint in list(complaints(tmp_path / "planted.py"))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    for path in (run.checkpoints / "t0000" / "epoch-0001", run.export(rank=1, trial="t0000"), run.failures):
        path.mkdir(parents=True)
    for path in (run.study, run.journal, run.checkpoints / "t0000" / "epoch-0001" / "state.npz"):
        path.touch()
    return run


LINKS = [
    "journal.jsonl",
    "study.yaml",
    ".driver.lock",
    "checkpoints",
    "exports",
    "failures",
    "checkpoints/t0001",
    "checkpoints/t0000/epoch-0002",
    "checkpoints/t0000/epoch-0001/history.json",
    "exports/2-t0001",
    "exports/.2-t0001.draft",
]


@pytest.mark.parametrize("place", LINKS)
@pytest.mark.parametrize("is_there", [True, False], ids=["something", "nothing"])
def test_link_in_a_run_folder_is_refused_before_anything_is_written_or_deleted(
    folder: RunFolder, place: str, is_there: bool, tmp_path: Path
) -> None:
    refuse_foreign_files(folder)
    path, home = folder.root / place, tmp_path / "home"
    if is_there:
        (home / ".ssh").mkdir(parents=True)
    if path.exists():
        path.rename(tmp_path / "set-aside")
    path.symlink_to(home)
    with pytest.raises(RunFolderError, match="is a link; a run writes and deletes in its own folder only"):
        refuse_foreign_files(folder)
    assert (home / ".ssh").is_dir() is is_there


@pytest.mark.parametrize("place", ["environment.json", "checkpoints/t0000/epoch-0001/manifest.json"])
def test_pipe_in_a_run_folder_is_refused_before_anybody_waits_for_it(folder: RunFolder, place: str) -> None:
    os.mkfifo(folder.root / place)
    with pytest.raises(RunFolderError, match="is neither a file nor a folder; remove it"):
        refuse_foreign_files(folder)


def test_names_that_are_no_text_can_be_shown(folder: RunFolder) -> None:
    (folder.exports / os.fsdecode(b"\xff\n\x1b[2J")).symlink_to("/")
    with pytest.raises(RunFolderError, match=r"exports/\\udcff\\n\\x1b\[2J: is a link"):
        refuse_foreign_files(folder)
