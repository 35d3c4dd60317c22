"""An analysis in sentences, the same in terminal and report."""

from orchestrator.analysis.analysis import Analysis
from orchestrator.analysis.effects import Bin
from orchestrator.analysis.importance import Importance, ParameterImportance
from orchestrator.analysis.savings import Savings
from orchestrator.text import duration, number

EFFECTS_NOTE = (
    "Other parameters vary, too, and a search tries good values of all of them together: this is what was seen, not "
    "what a parameter alone would do."
)
SHARES_NOTE = (
    "The share of the differences between trials that a parameter explains, in trials that the model has not seen. "
    "What matters only together counts for each, so shares may add up to more than 1; of few trials, they are rather "
    "too small."
)


def no_best_in_words(analysis: Analysis) -> str:
    """Returns why no trial is the best so far, for an analysis without steps."""
    return "No trial keeps to the constraints yet." if analysis.num_trials else "No trial has reported yet."


def basis_in_words(analysis: Analysis) -> str:
    """Returns what importance and effects rest on."""
    at = "" if analysis.epoch is None else f", as of epoch {analysis.epoch}"
    return f"{analysis.num_trials} trials compared by {analysis.metric}{at}"


def trials_in_words(item: ParameterImportance) -> str:
    """Returns how many trials the importance of a parameter rests on, and why it has none."""
    count = f"{item.num_trials}, where active" if item.is_conditional else str(item.num_trials)
    return f"{count}: {item.reason.partition(':')[0]}" if item.reason else count


def share_in_words(item: ParameterImportance) -> str:
    """Returns the share of a parameter; an empty text without one."""
    return "" if item.share is None else f"{item.share:.2f}"


def share_interval(item: ParameterImportance) -> str:
    """Returns the interval of the share of a parameter; an empty text without one."""
    return "" if item.low is None or item.high is None else f"{item.low:.2f} to {item.high:.2f}"


def bin_interval(item: Bin) -> str:
    """Returns the interval of the mean of a bin; an empty text for a single trial."""
    return "" if item.low is None or item.high is None else f"{number(item.low)} to {number(item.high)}"


def model_in_words(importance: Importance) -> str:
    """Returns how far the shares can be trusted; an empty text without a model of all trials."""
    if importance.explained is None:
        return ""
    if importance.explained <= 0:
        return "no model expects a trial that it has not seen better than the mean does: all of it may be chance"
    share = f"{100 * importance.explained:.0f} %"
    model = f"a {importance.model} of the parameters that all trials have"
    return f"{model} explains {share} of the differences between trials that it has not seen"


def savings_in_words(savings: Savings) -> list[str]:
    """Returns what stopping early saved, and how many of the stopped trials may have been good."""
    if not savings.num_stopped and not savings.patience_epochs:
        return ["No trial was stopped early."]
    found = []
    if savings.num_stopped:
        seconds = duration(savings.core_seconds)
        found.append(
            f"{savings.num_stopped} trials were stopped early: {savings.epochs} epochs and {seconds} of core time in "
            "training steps saved"
        )
    if savings.patience_epochs:
        found.append(f"trials whose own patience ended them saved {savings.patience_epochs} epochs")
    if savings.num_compared and savings.num_close is None:
        found.append(f"how many of them were then as good as {savings.best_trial} cannot be said: {savings.noise}")
    elif savings.num_compared:
        found.append(
            f"{savings.num_close} of {savings.num_compared} stopped trials were then as good as the best trial, "
            f"{savings.best_trial}, was at the same epoch ({savings.noise}); what they would have reached is not known"
        )
    return found
