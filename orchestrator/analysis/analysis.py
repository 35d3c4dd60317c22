"""The analysis of a run: all of it from its journal, and the same numbers for terminal, report, JSON and Python."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.analysis.effects import Effect, Pair, effects_of, pair_of
from orchestrator.analysis.importance import Importance, importance_of
from orchestrator.analysis.parameters import columns_of
from orchestrator.analysis.progress import Improvement, best_so_far_steps
from orchestrator.analysis.savings import Savings, savings_of
from orchestrator.analysis.values import compared_trials
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.results.image_shares import ImageShares
from search_spaces.domains.values import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What a run says about its parameters and about stopping early.

    Attributes:
        num_trials: The trials that importance and effects rest on.
        epoch: The epoch up to which their values count; None: each trial's last.
        notes: What a reader has to know about these values, a sentence each.
        importance: What each parameter explains.
        effects: The objective by the values of each parameter, most important first.
        pair: The two most important parameters together; None without two.
        steps: The best value so far, and what had been spent by then.
        savings: What stopping trials early saved.
    """

    study: str
    metric: str
    mode: str
    num_trials: int
    epoch: int | None
    notes: Sequence[str]
    importance: Importance
    effects: Sequence[Effect]
    pair: Pair | None
    steps: Sequence[Improvement]
    savings: Savings


def analysis_of(state: StudyState, *, shares: ImageShares | None = None) -> Analysis:
    """Returns the analysis of a study, also while it runs.

    Args:
        state: The study.
        shares: Its metrics that are shares of images; None: not known.

    Raises:
        JournalError: If the study was never opened.
    """
    state = search_alone(state)
    header, compared = state.header, compared_trials(state)
    columns = columns_of(compared.trials)
    importance = importance_of(compared, columns, seed=header.seed)
    return Analysis(
        study=header.study,
        metric=header.metric,
        mode=header.mode,
        num_trials=len(compared.trials),
        epoch=compared.epoch,
        notes=compared.notes,
        importance=importance,
        effects=effects_of(compared, columns, importance=importance),
        pair=pair_of(compared, columns, importance=importance),
        steps=best_so_far_steps(state),
        savings=savings_of(state, shares=shares or ImageShares()),
    )


def analysis_json(analysis: Analysis) -> dict[str, Any]:
    """Returns an analysis as a JSON-ready mapping."""
    pair = analysis.pair
    return {
        "study": analysis.study,
        "objective": {"metric": analysis.metric, "mode": analysis.mode},
        "num_trials": analysis.num_trials,
        "epoch": analysis.epoch,
        "notes": list(analysis.notes),
        "importance": {
            "reason": analysis.importance.reason,
            "explained": analysis.importance.explained,
            "model": analysis.importance.model,
            "parameters": [asdict(item) for item in analysis.importance.parameters],
        },
        "effects": [_effect_json(effect) for effect in analysis.effects],
        "pair": None if pair is None else {name: _listed(value) for name, value in asdict(pair).items()},
        "best_so_far": [asdict(step) for step in analysis.steps],
        "savings": asdict(analysis.savings),
    }


def _effect_json(effect: Effect) -> dict[str, Any]:
    return {
        "parameter": effect.parameter,
        "is_ordered": effect.is_ordered,
        "is_conditional": effect.is_conditional,
        "bins": [{**asdict(item), "values": [plain(end) for end in item.values]} for item in effect.bins],
    }


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
