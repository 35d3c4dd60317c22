"""The exit codes of `convfleet`, from the command line's constants."""

from docstrings import code, table

from orchestrator.cli.options import EXIT_FAILED, EXIT_INPUT, EXIT_PAUSED

_MEANINGS = {
    0: "Done.",
    EXIT_FAILED: "The study failed, or was paused because it could not go on; the message says what to do.",
    EXIT_INPUT: "The input is wrong: a study file, a run folder, an option.",
    EXIT_PAUSED: "Interrupted by Ctrl-C or SIGTERM; `convfleet resume RUN` goes on.",
}


def markdown(argument: str) -> str:
    """Returns one row a code."""
    return table(["code", "means"], ([code(number), text] for number, text in _MEANINGS.items()))
