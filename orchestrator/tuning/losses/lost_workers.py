"""Describes why workers died and how many losses a trial has, from the journal and Ray's error text alone."""

from orchestrator.journal.trial import Trial
from trainables.reports import FailureKind

#: Signs in Ray's error text, lower case, each with its meaning; the first match counts.
_CAUSES = (
    (("low on memory", "out_of_memory", "memory pressure"), "the node ran low on memory and Ray ended the worker"),
    (("node has died", "node is dead", "node was terminated"), "its node died"),
    (
        ("connection error code", "sigkill", "sigsegv"),
        "its process was killed or crashed: a signal such as SIGKILL or SIGSEGV, or the system for want of memory",
    ),
    (("creation task",), "its process could not start"),
)


def why_lost(text: str) -> str:
    """Returns why a worker died, from Ray's error text; empty if the text has no known sign.

    >>> why_lost("The actor died because its node has died. Node Id: 5f2")
    'its node died'
    """
    found = text.lower()
    return next((words for signs, words in _CAUSES if any(sign in found for sign in signs)), "")


def num_losses(trial: Trial) -> int:
    """Returns how many workers of a trial died in this session; workers that the driver ended do not count."""
    return sum(loss.kind == FailureKind.WORKER_LOST for loss in trial.losses_of_session)


def lost_in_words(trial: Trial, *, retries: int, why: str) -> str:
    """Returns the reason of a loss after which the trial continues; the journal does not have the loss yet."""
    return f"{_died(why)}; it goes on from its last checkpoint (retry {num_losses(trial) + 1} of {retries})"


def given_up_in_words(trial: Trial, *, retries: int, why: str) -> str:
    """Returns why a trial failed that lost its workers; the journal does not have the last loss."""
    times = num_losses(trial) + 1
    often = "once" if times == 1 else f"{times} times"
    last = f", the last time: {why}" if why else ""
    return f"its worker died {often}{last}; resources.retries allows {retries}: see also the memory a trial needs"


def _died(why: str) -> str:
    return f"its worker died ({why})" if why else "its worker died"
