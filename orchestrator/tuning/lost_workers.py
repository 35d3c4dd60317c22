"""Workers that died: why, in words, and how often a trial goes on after it; from the journal and Ray's text alone."""

from orchestrator.journal.trial import Trial
from trainables.reports import FailureKind

#: What Ray's text of an error has in it, lower case, and what that means; the first that fits.
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
    """Returns why a worker died, as far as Ray's text of the error tells; empty where it tells nothing.

    >>> why_lost("The actor died because its node has died. Node Id: 5f2")
    'its node died'
    """
    found = text.lower()
    return next((words for signs, words in _CAUSES if any(sign in found for sign in signs)), "")


def num_losses(trial: Trial) -> int:
    """Returns how many workers of a trial died by themselves since the session began."""
    return sum(loss.kind == FailureKind.WORKER_LOST for loss in trial.losses_of_session)


def lost_in_words(trial: Trial, *, retries: int, why: str) -> str:
    """Returns what a loss means for a trial that goes on; it is not in the journal yet."""
    return f"{_died(why)}; it goes on from its last checkpoint (retry {num_losses(trial) + 1} of {retries})"


def given_up_in_words(trial: Trial, *, retries: int, why: str) -> str:
    """Returns why a trial that lost its worker does not go on; the last loss is not in the journal."""
    times = num_losses(trial) + 1
    often = "once" if times == 1 else f"{times} times"
    last = f", the last time: {why}" if why else ""
    return f"its worker died {often}{last}; resources.retries allows {retries}: see also the memory a trial needs"


def _died(why: str) -> str:
    return f"its worker died ({why})" if why else "its worker died"
