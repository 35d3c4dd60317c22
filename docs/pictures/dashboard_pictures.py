"""Makes the pictures of the dashboard's pages, from a real study on CIFAR-10, in a real Chromium.

    python docs/pictures/dashboard_pictures.py --data FOLDER [--runs FOLDER]

`--data` has CIFAR-10 as two Parquet files, cifar10-train.parquet and cifar10-test.parquet. The study is run once, in a
temporary folder or in `--runs`, where a finished one is taken as it is. Needs chromium with chromedriver, and `.[dev]`.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from open_dashboards import Pages, open_dashboard  # noqa: E402
from real_browser import real_browser  # noqa: E402

NAME = "cifar10-sweep"
STUDY = """
name: {name}
seed: 5
data: {{source: parquet, train: {data}/cifar10-train.parquet, test: {data}/cifar10-test.parquet, limit: 2000}}
space:
  family: sequential
  params:
    num_blocks: {{int: [1, 2]}}
    filters: {{choice: [8, 16]}}
    batch_norm: {{choice: [true, false]}}
    dropout: {{float: [0, 0.4]}}
    optimizer: {{choice: [adam, sgd]}}
    learning_rate: {{float: [0.0005, 0.05], log: true}}
    batch_size: 64
search: {{algorithm: tpe, trials: 20}}
schedule: {{algorithm: asha, max_epochs: 9, grace_epochs: 1, min_rivals: 3}}
export: {{top: 2, formats: [keras, onnx]}}
"""
#: Each picture: the page, what it shows when it is there, and how far it is scrolled, in pixels.
PAGES = {
    "studies": ("/", NAME, 0),
    "study": ("/run/{name}", "Learning curves", 0),
    "trials": ("/run/{name}/trials", "t0003", 0),
    "parameters": ("/run/{name}/parameters", "Importance", 0),
    "rungs": ("/run/{name}/rungs", "nobody was there before", 0),
    "fleet": ("/run/{name}/fleet", "Workers over time", 0),
    "models": ("/run/{name}/models", "Formats", 0),
    "model": ("/run/{name}/model/{export}", "Card", 560),
    "trial": ("/run/{name}/trial/{trial}", "Every record of the journal", 0),
    "decisions": ("/run/{name}/decisions", "t0000 was proposed", 0),
}
_SETTLED_SECONDS = 2.0


def main() -> None:
    """Makes the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="The folder of CIFAR-10's Parquet files.")
    parser.add_argument("--runs", type=Path, help="Where the run is kept, or is already.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "dashboard")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = options.runs or Path(folder) / "runs"
        if not (runs / NAME / "exports").is_dir():
            run_study(Path(folder), runs=runs, data=options.data.absolute())
        with (
            open_dashboard([runs], log=Path(folder) / "log.txt") as address,
            real_browser(Path(folder) / "profile") as browser,
        ):
            browser.set_window_size(1280, 860)
            take(Pages(browser, address), run=runs / NAME, out=options.out)


def run_study(folder: Path, *, runs: Path, data: Path) -> None:
    """Runs the study that the pictures show."""
    study = folder / "study.yaml"
    study.write_text(STUDY.format(name=NAME, data=data))
    command = [sys.executable, "-m", "convfleet", "run", str(study), "--runs", str(runs.absolute())]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


def take(pages: Pages, *, run: Path, out: Path) -> None:
    """Takes a picture of each page."""
    out.mkdir(exist_ok=True)
    export = min(path.name for path in (run / "exports").iterdir() if path.name.startswith("1-"))
    names = {"name": run.name, "export": export, "trial": export.partition("-")[2]}
    for name, (path, shows, scrolled) in PAGES.items():
        pages.open(path.format(**names), shows=shows)
        time.sleep(_SETTLED_SECONDS)
        pages.browser.execute_script("window.scrollTo(0, arguments[0])", scrolled)
        time.sleep(0.3)
        save(pages.browser.get_screenshot_as_png(), out / f"{name}.png")


def save(png: bytes, path: Path) -> None:
    """Writes a picture of few colours, which pages of text and lines have."""
    image: Any = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
