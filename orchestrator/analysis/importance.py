"""How much of the differences between trials each parameter explains.

Chosen by an experiment on made-up objectives of eight parameters, two or three of them with an effect, 24 and 60 trials
by random search and by TPE:

- Held-out permutation by a random forest finds sharp steps and many-valued options; of two parameters that matter only
  together it finds next to nothing (shares 0.29 and 0.15 of true 0.94 and 0.75 at 60 trials).
- The same by a Gaussian process finds these (0.90 and 0.74), and blurs steps (0.71 of 0.86, the forest 0.84).
- PED-ANOVA named the strongest parameter in half of the studies at most, and gave each parameter without effect a
  share of about 0.1; the variance of a forest over the whole space gave shares only, and no interval.

So both models are asked, and the one that expects trials better which it has not seen is believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.held_out import MOST_FOR_PROCESS, by_forest, by_gaussian_process
from orchestrator.analysis.parameters import Column, features_of
from orchestrator.analysis.values import MIN_TRIALS, Compared, do_differ, too_few

Array = np.ndarray

#: Values of other trials that stand in for a trial's own.
_NUM_DONORS = 8
_NUM_RESAMPLES = 1000
#: More trials take long and change nothing: as many are drawn of them.
_MOST_TRIALS = 1000
#: Resampling trials leaves out that the model was learnt from the same trials. In simulated studies, intervals of 95 %
#: so much wider cover 0 for 92-100 % of the parameters without effect; unstretched ones for as few as 78 %.
_STRETCH = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterImportance:
    """What one parameter explains.

    Attributes:
        share: Of the variance among the trials, from 0 to 1; None without a number. A parameter that matters only
            together with another has the share of both, so shares may add up to more than 1.
        low: The lower end of the interval of 95 %, which is 0 where chance may be all; likewise high.
        num_trials: The trials that it rests on: those in which the parameter is active.
        is_conditional: Whether the parameter is inactive in others.
        reason: Why there is no number; else empty.
    """

    name: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    num_trials: int
    is_conditional: bool
    reason: str = ""

    @property
    def is_clear(self) -> bool:
        """Whether the interval lies above 0, in hundredths."""
        return self.low is not None and round(self.low, 2) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What all parameters explain.

    Attributes:
        parameters: Those whose values differ, most important first.
        explained: The share of the variance that the model of all trials explains in trials it has not seen; None
            without numbers.
        model: The model of all trials: forest or Gaussian process; empty without numbers.
        reason: Why there are no numbers; else empty.
    """

    parameters: Sequence[ParameterImportance] = ()
    explained: float | None = None
    model: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    """What a model says of some trials.

    Attributes:
        explained: The share of the variance that it explains in trials it has not seen; below 0 if none.
        shares: By parameter, the low end of the interval, the share, and the high end.
    """

    explained: float
    model: str
    shares: Mapping[str, tuple[float, float, float]]


def importance_of(compared: Compared, columns: Sequence[Column], *, seed: int) -> Importance:
    """Returns how much of the differences between trials each parameter explains.

    A share is half of what the mean squared error of a model grows by on trials that it has not seen, when values of
    other trials stand in for a parameter's own, divided by the variance of the scores: for a perfect model, the total
    effect of Sobol'. Models of few trials see less than there is, so shares are rather too small.

    A conditional parameter is judged among the trials in which it is active, by a model of these and of the parameters
    that all of them have. It is no feature of other models: whether it is active already says its parent's value.

    Args:
        compared: The trials and their scores.
        columns: Their parameters.
        seed: Equal studies with equal seeds have equal numbers.
    """
    if compared.reason:
        return Importance(reason=compared.reason)
    if not columns:
        return Importance(reason="no parameter differs between the trials")
    found: list[ParameterImportance] = []
    whole: _Judgement | None = None
    for rows, members in _groups(columns):
        judgement = _judge(rows, compared.scores, columns=columns, seed=seed) if _is_enough(rows, compared) else None
        found += [_of(column, rows=rows, compared=compared, judgement=judgement) for column in members]
        whole = judgement if len(rows) == len(compared.trials) else whole
    found.sort(key=lambda item: (item.share is None, -(item.share or 0.0), -(item.high or 0.0), item.name))
    if whole is None:
        return Importance(parameters=found)
    return Importance(parameters=found, explained=whole.explained, model=whole.model)


def _groups(columns: Sequence[Column]) -> list[tuple[Array, list[Column]]]:
    """Returns the parameters by the trials in which they are active, and these trials' numbers."""
    groups: dict[bytes, tuple[Array, list[Column]]] = {}
    for column in columns:
        groups.setdefault(column.is_active.tobytes(), (np.flatnonzero(column.is_active), []))[1].append(column)
    return list(groups.values())


def _is_enough(rows: Array, compared: Compared) -> bool:
    return len(rows) >= MIN_TRIALS and do_differ(compared.scores[rows])


def _of(column: Column, *, rows: Array, compared: Compared, judgement: _Judgement | None) -> ParameterImportance:
    """Returns the importance of a parameter, which is active in some trials."""
    shares = None if judgement is None else judgement.shares.get(column.name)
    low, share, high = (None, None, None) if shares is None else shares
    reason = ""
    if shares is None:
        reason = too_few(len(rows)) if len(rows) < MIN_TRIALS else "the trials that have it do not differ"
    return ParameterImportance(
        name=column.name,
        share=share,
        low=low,
        high=high,
        num_trials=min(len(rows), _MOST_TRIALS),
        is_conditional=len(rows) < len(compared.trials),
        reason=reason,
    )


def _judge(rows: Array, scores: Array, *, columns: Sequence[Column], seed: int) -> _Judgement:
    """Returns what the better of the models says of trials: of the parameters that all of them have."""
    rng = np.random.default_rng(seed)
    if len(rows) > _MOST_TRIALS:
        rows = np.sort(rng.choice(rows, _MOST_TRIALS, replace=False))
    features = [column for column in columns if column.varies_among(rows)]
    places = np.stack([column.places[rows] for column in features], axis=1)
    own = (scores[rows] - scores[rows].mean()) / scores[rows].std()
    versions = np.stack([features_of(features, version) for version in _versions(places, rng=rng)])
    models = [("forest", by_forest)]
    if len(rows) <= MOST_FOR_PROCESS:
        models.append(("Gaussian process", by_gaussian_process))
    errors = [(name, (own - expect(versions, own, rng=rng)) ** 2) for name, expect in models]
    name, best = min(errors, key=lambda item: item[1][0].mean())
    # The growth of each trial's squared error, (parameters, trials).
    growth = (best[1:].reshape(len(features), -1, len(rows)).mean(axis=1) - best[0]) / 2
    explained = 1 - float(best[0].mean())
    shares = dict(zip((column.name for column in features), _intervals(growth, own, rng=rng), strict=True))
    return _Judgement(explained=explained, model=name, shares=shares)


def _versions(places: Array, *, rng: np.random.Generator) -> list[Array]:
    """Returns the trials as they are, and then, for each parameter, some times with values of other trials."""
    count = len(places)
    shifts = rng.permutation(np.arange(1, count))[:_NUM_DONORS]
    versions = [places]
    for axis in range(places.shape[1]):
        for shift in shifts:
            version = places.copy()
            version[:, axis] = np.roll(places[:, axis], shift)
            versions.append(version)
    return versions


def _intervals(growth: Array, scores: Array, *, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Returns the low end, the share and the high end of each parameter, by drawing trials again with replacement.

    Args:
        growth: By parameter and trial.
        scores: Of variance 1.
    """
    count = len(scores)
    shares = growth.mean(axis=1)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=_NUM_RESAMPLES) / count
    variances = drawn @ scores**2 - (drawn @ scores) ** 2
    kept = variances > 1e-12
    resampled = (drawn @ growth.T)[kept] / variances[kept, None]
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    ends = shares - _STRETCH * (shares - low), shares, shares + _STRETCH * (high - shares)
    # A share below 0 is chance, and none is more than all.
    return [(float(a), float(b), float(c)) for a, b, c in np.clip(np.stack(ends, axis=1), 0.0, 1.0)]
