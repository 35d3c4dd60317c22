"""What was found out about libraries, from the scripts in findings/ that show it."""

import re
from pathlib import Path

from docstrings import code, require, table

_FINDINGS = Path(__file__).parents[2] / "findings"


def markdown(argument: str) -> str:
    """Returns one row a script: what it shows, and what convfleet does about it.

    Raises:
        ValueError: If there is no script, or one lacks its sentence.
    """
    scripts = [path for path in sorted(_FINDINGS.glob("*.sh")) if not path.name.startswith("_")]
    if not scripts:
        raise ValueError(f"{_FINDINGS}: expected scripts, got none")
    return table(["script", "what it shows", "what convfleet does"], map(_row, scripts))


def _row(path: Path) -> list[str]:
    lines = [line.removeprefix("#").strip() for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    comment = lines[: next((at for at, line in enumerate(lines) if line.startswith("set -")), len(lines))]
    text = "\n".join(comment)
    headline = " ".join(text.partition("\n\n")[0].split())
    ours = re.search(r"^Ours: (.*?)(?=^\w[\w ]*: |\Z)", text, re.MULTILINE | re.DOTALL)
    answer = " ".join(ours[1].split()) if ours else ""
    return [code(path.stem), require(headline, what=path.name), _with_paths(answer)]


def _with_paths(text: str) -> str:
    return re.sub(r"(?<![`\w/])((?:orchestrator|trainables|search_spaces|benchmarks)/[\w./]+\.py)", r"`\1`", text)
