"""The sections of a study file as pydantic models, apart from space and data, which other packages define."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from orchestrator.pareto.choice import EXAMPLE, FRONT, KNEE
from orchestrator.study.keys.checked_values import (
    beside_money,
    by_parameter,
    choice_rule,
    decided_number,
    first_trials,
    none_or_several,
    of_their_own,
    storage_uri,
)
from orchestrator.text import shown
from search_spaces import nearest
from trainables.specs.export import FORMAT_NAMES, EnsembleMethod, FormatName, missing_packages
from trainables.specs.numbers import (
    Count,
    Number,
    auto_or_bool,
    auto_or_from,
    auto_or_number_from,
    auto_or_share,
    whole_or_fraction,
)

_MOST_EXPORTS, _LONGEST_NUMBER = 1000, 10
_Price = Annotated[Number, Field(gt=0, le=1e9, allow_inf_nan=False)]


#: Keys of what a study spends or reaches until no trial begins.
BUDGETS = tuple(
    f"search.{name}" for name in ("target", "minutes", "core_hours", "money", "epochs", "patience", "min_gain")
)
#: Fewer trials have no median worth the name.
MEDIAN_RIVALS = 3
#: Trials that end before a search algorithm that learns from them has anything to learn from.
STARTUP_TRIALS = 8


def budget_of(reason: str) -> str:
    """Returns the key of the budget that ended a trial for this reason; empty if none did.

    >>> budget_of("search.epochs: stopped after epoch 3, as the 40 epochs of the study were trained")
    'search.epochs'
    """
    return next((key for key in BUDGETS if reason.startswith(f"{key}: ")), "")


class Section(BaseModel):
    """A section: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Search(Section):
    """How the search proposes variants.

    Attributes:
        algorithm: random, sobol (points that fill the space more evenly than random ones), grid (every variant of a
            countable space, in order), tpe (Optuna's tree-structured Parzen estimator, which learns from finished
            trials), bohb (the same at the last epoch that enough trials have come to, running ones among them), gp
            (Bayesian optimisation with a Gaussian process), cmaes (a normal distribution of the numbers, which adapts),
            nsga2 and nsga3 (genetic algorithms, for several objectives) or auto (one of the others, by the trials and
            the space; the run says which and why, and keeps to it).
        trials: How many trials at most; None: as many as the space has variants, or 20 if it is
            not countable; with pbt three for each place of the population.
        start_with: What the first trials try before the search goes on from it: portfolio (variants of the built-in
            space, or of the one of the same family, that were good elsewhere with so many images), none, or a
            list of values by parameter. auto: portfolio where the schedule has an auto as well, else none.
        prior: A good guess by parameter. Half of the first eight trials are drawn near it, then ever fewer (of trial 80
            one in twenty); parameters that it does not name are left to the algorithm. A grid has its own order.
        minutes: How long the study searches, over all its sessions and with the preparation of the data. Then no trial
            begins, and those under way stop after their next epoch; exports come on top. None: as long as it takes.
            Whichever of this and the next six comes first ends the search.
        core_hours: The same once trials have trained so long, by their own clocks, times `cpus_per_trial`.
        money: The same once the study has cost so much: `price_per_hour` times the hours that `minutes` counts.
        price_per_hour: What all machines of the study cost an hour together, in the currency of `money`.
        epochs: The same once so many epochs were trained, over all trials.
        target: The same once a report's objective is as good. At 1.0 of accuracy or f1_score, with `objective.ties`,
            trials under way go on: nothing is better, but some may be as good with less loss.
        patience: No trial begins once so many that were proposed after the best one have ended; those under way go on.
        min_gain: The same once another trial is expected to raise the best value by less than this, by the values of
            the trials that have ended, of which there are at least ten.
        replicates: How often each of the best variants is trained again at most, with other seeds, once the search has
            ended; so the winner is not the luckiest seed. 0: none is; else at least 2, as one has no interval.
        replicate_on: seeds, or folds: each replicate of a leader validates on another of `data.folds` than the search.
        leaders: How many of the best variants are trained again.
    """

    algorithm: Literal["random", "sobol", "grid", "tpe", "bohb", "gp", "cmaes", "nsga2", "nsga3", "auto"] = "tpe"
    trials: Count | None = Field(default=None, ge=1, le=1_000_000, examples=[24])
    start_with: Annotated[
        Literal["auto", "portfolio", "none"] | tuple[dict[str, Any], ...], BeforeValidator(first_trials)
    ] = Field(default="auto", examples=["portfolio", "[{filters: 16, learning_rate: 0.001}]"])
    prior: Annotated[dict[str, Any], BeforeValidator(by_parameter)] = Field(
        default_factory=dict, examples=["{learning_rate: 0.003, filters: 32}"]
    )
    minutes: Number | None = Field(default=None, gt=0, le=1_000_000, allow_inf_nan=False, examples=[10])
    core_hours: Number | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False, examples=[8])
    money: Number | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False, examples=[20])
    price_per_hour: Annotated[_Price | None, AfterValidator(beside_money)] = Field(
        default=None, validate_default=True, examples=[1.5]
    )
    epochs: Count | None = Field(default=None, ge=1, le=1_000_000_000, examples=[500])
    target: Number | None = Field(default=None, allow_inf_nan=False, examples=[0.95])
    patience: Count | None = Field(default=None, ge=1, le=1_000_000, examples=[20])
    min_gain: Number | None = Field(default=None, gt=0, allow_inf_nan=False, examples=[0.001])
    replicates: Annotated[Count, AfterValidator(none_or_several)] = Field(default=0, ge=0, le=1000, examples=[3])
    replicate_on: Literal["seeds", "folds"] = "seeds"
    leaders: Count = Field(default=3, ge=1, le=1000, examples=[3])

    @property
    def num_leaders(self) -> int:
        """How many of the best variants are trained again; 0 where none is."""
        return self.leaders if self.replicates else 0

    @property
    def first_values(self) -> tuple[dict[str, Any], ...]:
        """The values of the first trials, where they are known."""
        return () if isinstance(self.start_with, str) else self.start_with


class Schedule(Section):
    """How long trials train, and when the scheduler stops weak ones early.

    Attributes:
        algorithm: none; asha (asynchronous successive halving); hyperband (several of them, each with another grace);
            pasha (asha on a ladder of rungs that grows only while longer training changes who is best); median (a
            trial stops that is worse than the median of the others' means); pbt (population based training: a weak
            trial ends, another goes on in its place from a good one's checkpoint, with other values); or pb2 (the same,
            the values by what values have gained so far).
        max_epochs: Epochs of a trial that nothing stops; auto: as many as make a thousand steps of the largest batch
            size, at most 60, or ten thousand, at most 27, whichever are more; at least 9.
        grace_epochs: The scheduler stops no trial before this many epochs; auto: 200 steps, at most a third of
            max_epochs, and all of them where there are fewer than 100 validation images.
        reduction_factor: asha, hyperband, pasha: about one trial in this many goes on at each rung.
        promotion: asha: a trial waits at its rung, its worker trains another, and the best of a rung go on, exactly
            where they were.
        min_rivals: The scheduler stops no trial at an epoch that fewer others have reached before; auto: 1, with median
            3, and reduction_factor where grace_epochs is auto.
        brackets: hyperband: how many halvings run side by side, each of which begins to judge reduction_factor times as
            late as the one before.
        population: pbt, pb2: how many variants the search proposes; search.trials counts their successors too.
        interval_epochs: pbt, pb2: trials are compared after so many epochs, twice as many, and so on.
        quantile: pbt, pb2: a trial ends that is among so large a share of the worst ones, for one of as many best ones.
        repeats: Splits of the images that each trial trains and validates on, one after another in every epoch; its
            metrics are their means, and the model of the first one is exported. auto: 1; with another auto above and
            fewer than 100 validation images, as many as validate on 100 together, at most 3.
    """

    algorithm: Literal["none", "asha", "hyperband", "pasha", "median", "pbt", "pb2"] = "asha"
    max_epochs: Annotated[Literal["auto"] | int, BeforeValidator(auto_or_from(1, most=100_000))] = Field(
        default="auto", examples=["auto", 9]
    )
    grace_epochs: Annotated[Literal["auto"] | int, BeforeValidator(auto_or_from(1))] = Field(
        default="auto", examples=["auto", 1]
    )
    reduction_factor: Number = Field(default=3, gt=1, le=100, examples=[3])
    promotion: bool = Field(default=False, strict=True)
    min_rivals: Annotated[Literal["auto"] | int, BeforeValidator(auto_or_from(1))] = Field(
        default="auto", examples=["auto", 1]
    )
    brackets: Count = Field(default=3, ge=1, le=10, examples=[3])
    population: Count = Field(default=8, ge=4, le=1000, examples=[8])
    interval_epochs: Count = Field(default=2, ge=1, le=100_000, examples=[2])
    quantile: Number = Field(default=0.25, gt=0, le=0.5, examples=[0.25])
    repeats: Annotated[Literal["auto"] | int, BeforeValidator(auto_or_from(1, most=100))] = Field(
        default="auto", examples=["auto", 1]
    )

    @property
    def has_auto(self) -> bool:
        """Whether the images decide a number that a trial's course depends on."""
        return self.max_epochs == "auto" or (self.algorithm != "none" and self.grace_epochs == "auto")

    @property
    def epochs(self) -> int:
        """The epochs of a trial that nothing stops.

        Raises:
            ValueError: If the images are not counted yet.
        """
        return decided_number(self.max_epochs, "max_epochs")

    @property
    def grace(self) -> int:
        """The epochs before which no trial is stopped.

        Raises:
            ValueError: If the images are not counted yet.
        """
        return decided_number(self.grace_epochs, "grace_epochs")

    @property
    def rivals(self) -> int:
        """The trials that one is compared with at least; as ever 1, the median's 3, where the study has no number."""
        if self.min_rivals != "auto":
            return self.min_rivals
        return MEDIAN_RIVALS if self.algorithm == "median" else 1

    @property
    def has_population(self) -> bool:
        """Whether trials that end early are replaced by others that go on from better ones."""
        return self.algorithm in ("pbt", "pb2")

    @property
    def kept_every(self) -> int:
        """The epochs between two checkpoints that other trials may go on from; 0: none does."""
        return self.interval_epochs if self.has_population else 0

    @property
    def num_splits(self) -> int:
        """The splits that each trial trains on; as ever 1 where the study has no number."""
        return 1 if self.repeats == "auto" else self.repeats

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "auto" in (self.grace_epochs, self.max_epochs):
            return self
        if self.grace > self.epochs:
            raise ValueError(
                f"grace_epochs: must not exceed max_epochs ({self.max_epochs}), got {self.grace_epochs}; lower it or "
                "raise max_epochs"
            )
        return self


class Resources(Section):
    """What the study may use of a machine, and what each trial gets.

    Attributes:
        cpus: CPUs of this machine that a local Ray may share out; auto: all.
        gpus: GPUs of this machine that a local Ray may share out; auto: all.
        cpus_per_trial: CPUs of each trial.
        gpus_per_trial: GPUs of each trial: 0, a fraction below 1, or a whole number; auto: the fraction of this
            machine's GPUs that the largest of some sampled variants needs, 0 on a machine without GPUs.
        accelerator: The kind of GPU that trials need, as Ray names it, such as H100; None: any.
        custom: What each trial takes of a cluster's own resources, by their names, such as `{scratch: 1}`.
        pin_cpus: Whether each worker keeps to CPU cores of its own; auto: no worker does.
        max_concurrent: Trials at the same time; auto: as many as fit, also on nodes that join later.
        share: The part of a cluster that the study takes at most with `max_concurrent: auto`: 0.5 leaves half of it to
            others.
        retries: How often a trial goes on from its last checkpoint after its worker process died.
        trials_per_worker: How many trials a worker process trains before a fresh one takes its place; auto: all of
            the study's, unless its memory grows by more than a gigabyte.
        report_timeout_seconds: How long a trial may go without a report before the driver ends its worker; auto: ten
            times the longest that any report took so far, and at least ten minutes.
    """

    cpus: Annotated[Literal["auto"] | int, BeforeValidator(auto_or_from(1))] = Field(
        default="auto", examples=["auto", 8]
    )
    gpus: Annotated[Literal["auto"] | int, BeforeValidator(auto_or_from(0))] = Field(
        default="auto", examples=["auto", 2]
    )
    cpus_per_trial: Annotated[Number, AfterValidator(whole_or_fraction)] = Field(default=1, gt=0, examples=[1])
    gpus_per_trial: Annotated[Literal["auto"] | Number, BeforeValidator(auto_or_share)] = Field(
        default=0.0, examples=[0, 0.5, 1, "auto"]
    )
    accelerator: str | None = Field(default=None, pattern=r"^[\w.-]+$", examples=["H100"])
    custom: Annotated[
        dict[str, Annotated[Number, Field(gt=0), AfterValidator(whole_or_fraction)]], AfterValidator(of_their_own)
    ] = Field(default_factory=dict, examples=[{"scratch": 1}])
    pin_cpus: Annotated[Literal["auto"] | bool, BeforeValidator(auto_or_bool)] = Field(
        default="auto", examples=["auto", True]
    )
    max_concurrent: Annotated[Literal["auto"] | int, BeforeValidator(auto_or_from(1))] = Field(
        default="auto", examples=["auto", 4]
    )
    share: Number = Field(default=1.0, gt=0, le=1, examples=[0.5])
    retries: Count = Field(default=3, ge=0, le=100, examples=[3])
    trials_per_worker: Annotated[Literal["auto"] | int, BeforeValidator(auto_or_from(1))] = Field(
        default="auto", examples=["auto", 50]
    )
    report_timeout_seconds: Annotated[Literal["auto"] | float, BeforeValidator(auto_or_number_from(1))] = Field(
        default="auto", examples=["auto", 1800]
    )

    @property
    def gpu_share(self) -> float:
        """GPUs of each trial as a number; auto counts as none until a session has chosen a number."""
        return 0.0 if self.gpus_per_trial == "auto" else self.gpus_per_trial

    @property
    def request_in_words(self) -> str:
        """What a trial asks for."""
        gpus = "as many GPUs as it needs" if self.gpus_per_trial == "auto" else f"{self.gpus_per_trial:g} GPUs"
        kind = "" if self.accelerator is None else f" ({self.accelerator})"
        others = "".join(f" and {amount:g} {name}" for name, amount in self.custom.items())
        return f"{self.cpus_per_trial:g} CPUs and {gpus}{kind}{others}"

    @property
    def in_words(self) -> str:
        """What each trial gets."""
        return f"{self.request_in_words} a trial"


class Storage(Section):
    """The storage of a run, and the room that it may take.

    Attributes:
        uri: Where the driver copies the run to, such as s3://bucket/runs; None: the run lies in its folder alone.
        checkpoint_budget_gb: What all checkpoints together may take, in 10^9 bytes; None: as much as they need.
        min_free_gb: The study pauses before the disk has less room than this, in 10^9 bytes.
    """

    uri: Annotated[str, AfterValidator(storage_uri)] | None = Field(default=None, examples=["s3://bucket/runs"])
    checkpoint_budget_gb: Number | None = Field(default=None, gt=0, allow_inf_nan=False, examples=[20])
    min_free_gb: Number = Field(default=0.2, ge=0, allow_inf_nan=False, examples=[1])

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        """Takes `storage: s3://bucket/runs` for a mapping with nothing but its uri."""
        return {"uri": value} if isinstance(value, str) else value


class Accept(Section):
    """The smallest file of all exports that gives up no more than this is named.

    Attributes:
        accuracy_drop: The most that a file may lose of `objective.metric`: what its checkpoint has less on the
            validation split than the best exported one, and what its format loses on the test split, together.
    """

    accuracy_drop: Number = Field(ge=0, le=1, allow_inf_nan=False, examples=[0.01])


class Export(Section):
    """Which models the study exports at its end.

    Attributes:
        top: How many of the best; 0: none.
        formats: keras, saved_model, litert, onnx and openvino (float32), litert_float16, litert_dynamic_int8,
            litert_int8, onnx_int8 and openvino_int8.
        ensemble: Which checkpoints of the study are also exported as one model: greedy (votes of any trials), soup (the
            mean of weights of one architecture) or snapshot (votes of one trial's epochs); null: none are.
        choose: front (the leaderboard's first trials, with several objectives those on the front alone), knee (of the
            front, those first from which any gain in one objective costs most in others), or a rule such as
            `val_accuracy >= 0.9 then least latency_ms`.
        accept: What the smallest file may give up; None: no file is named.
    """

    top: Count = Field(default=3, ge=0, le=_MOST_EXPORTS, examples=[3])
    formats: tuple[FormatName, ...] = Field(default=FORMAT_NAMES[:2], min_length=1, examples=["[keras, saved_model]"])
    choose: Annotated[str, BeforeValidator(choice_rule)] = Field(default=FRONT, examples=[FRONT, KNEE, f'"{EXAMPLE}"'])
    ensemble: EnsembleMethod | None = Field(default=None, examples=["greedy"])
    accept: Accept | None = Field(default=None, examples=["{accuracy_drop: 0.01}"])

    @staticmethod
    def top_problem(value: object) -> str:
        """Returns what is wrong with the number of models that a user asks for; an empty text if nothing is.

        Args:
            value: A number, or its text on a command line.
        """
        number = int(value[:_LONGEST_NUMBER]) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= _MOST_EXPORTS:
            return ""
        received = repr(value) if isinstance(value, str) else shown(value)
        return f"must be a whole number from 1 to {_MOST_EXPORTS}, got {received}"

    @staticmethod
    def format_problem(name: str) -> str:
        """Returns what is wrong with a format that a user asks for; an empty text if nothing is.

        Args:
            name: The format.
        """
        if name in FORMAT_NAMES:
            return missing_packages(name)
        return f"must be one of {', '.join(FORMAT_NAMES)}, got {name!r}{nearest(name, FORMAT_NAMES)}"
