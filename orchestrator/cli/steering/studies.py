"""Commands about a whole study: pause, note, tag, add."""

import json
from typing import Annotated, Any

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.cli.steering.asking import WAIT_SECONDS, SteeredArgument, UndoOption, WaitOption, ask_and_print
from orchestrator.errors import InputError


def pause_study(run: SteeredArgument, *, wait: WaitOption = WAIT_SECONDS, as_json: JsonOption = False) -> None:
    """Pause a study, as Ctrl-C in its driver's terminal does; convfleet resume goes on with it."""
    from orchestrator.steering.requests import PauseStudy

    ask_and_print(run, PauseStudy(), seconds=wait, as_json=as_json)


def note(
    run: SteeredArgument,
    words: Annotated[
        list[str],
        typer.Argument(metavar="[TRIAL] TEXT", help="The note in quotes; before it the trial, if it is of one."),
    ],
    *,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Write a note about a study or a trial, also of a study that is finished or paused."""
    from orchestrator.steering.requests import Annotate

    if len(words) > 2:
        given = " ".join(words)
        raise InputError(
            f'expected a trial and a text, or a text alone, got {len(words)} words; put the text in quotes: "{given}"'
        )
    *trial, text = words
    ask_and_print(run, Annotate(trial=trial[0] if trial else "", text=text), seconds=wait, as_json=as_json)


def tag(
    run: SteeredArgument,
    tags: Annotated[list[str], typer.Argument(metavar="TEXT...", help="The tags, each a word or a text in quotes.")],
    *,
    undo: UndoOption = False,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Give a study tags, by which the dashboard finds it, also one that is finished or paused."""
    from orchestrator.steering.requests import TagStudy

    ask_and_print(run, TagStudy(tags=tags, tagged=not undo), seconds=wait, as_json=as_json)


def add_variant(
    run: SteeredArgument,
    *,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="NAME=VALUE", help="A parameter's value, as YAML; repeatable."),
    ] = None,
    params: Annotated[
        str | None, typer.Option("--params", metavar="JSON", help="All values as one JSON object, in place of --param.")
    ] = None,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Have a variant tried next, in the place of one that the search would propose."""
    from orchestrator.steering.requests import AddVariant

    values = {**_object(params), **dict(map(_pair, param or ()))}
    if not values:
        raise InputError("--param: expected at least one value, got none; for example --param filters=16")
    ask_and_print(run, AddVariant(params=values), seconds=wait, as_json=as_json)


def _pair(text: str) -> tuple[str, Any]:
    from orchestrator.study.yaml_file import parse_yaml

    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise InputError(f"--param {text}: expected NAME=VALUE, for example --param filters=16")
    return name.strip(), parse_yaml(value, where=f"--param {text}")


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InputError(f"--params: expected a JSON object such as {_EXAMPLE}, got none ({exc})") from exc
    if not isinstance(found, dict):
        raise InputError(f"--params: expected a JSON object such as {_EXAMPLE}, got {text}")
    return found


_EXAMPLE = """'{"filters": 16}'"""
