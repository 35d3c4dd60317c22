"""The model of a study file, which pydantic validates it against."""

import hashlib
import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from orchestrator.pareto.choice import Condition
from orchestrator.pareto.constraints import parse_constraint
from orchestrator.study.objectives import Objective
from orchestrator.study.sections import Export, Resources, Schedule, Search, Section, Storage
from search_spaces import Problem, SearchSpace, space_to_mapping
from trainables.specs.data import PATH_FIELDS, DataSpec
from trainables.specs.numbers import Count


def _one_or_several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


_MAX_SEED = 2**31 - 1
_DEFAULT_TRIALS = 20
#: Trials of a population for each of its places, where the study does not say how many.
_PLACES = 3


#: Keys of `data` on which no result depends: the data set's fingerprint stands for the content of files.
_NOT_COUNTED = (*PATH_FIELDS, "function_dir", "memory_gb", "allow_overlap")

#: The keys that always count. Later ones count where their values are not the defaults, so that the studies of earlier
#: versions keep their ids: never add to these.
_FIRST_KEYS = frozenset(
    """
    name seed objective.metric objective.mode search.algorithm search.trials
    schedule.algorithm schedule.max_epochs schedule.grace_epochs schedule.reduction_factor
    data.source data.name data.function data.image_column data.label_column data.inputs data.targets data.limit
    data.validation_fraction data.test_fraction data.image_size data.channels data.augment
    data.targets.*.kind data.targets.*.column data.targets.*.loss data.targets.*.weight data.targets.*.metrics
    data.augment.flip data.augment.crop_padding data.augment.rotate_degrees data.augment.shift data.augment.zoom
    data.augment.brightness data.augment.contrast data.augment.cutout data.augment.mixup data.augment.cutmix
    data.augment.rand_augment data.augment.rand_augment.num_ops data.augment.rand_augment.magnitude
    """.split()  # noqa: SIM905 - a list would take fifty lines
)


def counted(model: BaseModel, *, exclude: set[str]) -> dict[str, Any]:
    """Returns the JSON-ready content of a study that its id follows from.

    Args:
        model: The study.
        exclude: Its sections that do not count, or are counted otherwise.
    """
    content = _without_later_defaults(model, model.model_dump(mode="json", exclude=exclude), path="")
    content["data"] = {key: value for key, value in content["data"].items() if key not in _NOT_COUNTED}
    return content


def _without_later_defaults(model: BaseModel, dumped: Mapping[str, Any], *, path: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        if name not in dumped:
            continue
        value = getattr(model, name)
        is_section = any(key.startswith(f"{path}{name}.") for key in _FIRST_KEYS)
        if not (is_section or f"{path}{name}" in _FIRST_KEYS) and value == field.get_default(call_default_factory=True):
            continue
        content[name] = _pruned(value, dumped[name], path=f"{path}{name}.")
    return content


def _pruned(value: object, dumped: Any, *, path: str) -> Any:
    # Several objectives are a list.
    if isinstance(value, BaseModel) and isinstance(dumped, Mapping):
        return _without_later_defaults(value, dumped, path=path)
    if isinstance(value, Mapping):
        return {key: _pruned(item, dumped[key], path=f"{path}*.") for key, item in value.items()}
    return dumped


#: The packages of trackers; a test holds these against what sends events.
TRACKER_PACKAGES: Mapping[str, str] = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}


class Track(Section):
    """Which trackers a study is sent to while it runs.

    Attributes:
        to: tensorboard, mlflow, wandb, or several of them.
    """

    to: Annotated[tuple[Literal["tensorboard", "mlflow", "wandb"], ...], BeforeValidator(_one_or_several)] = Field(
        default=(), examples=["[tensorboard, mlflow]"]
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The trackers, each once."""
        return tuple(dict.fromkeys(self.to))

    def problems(self) -> list[Problem]:
        """Returns a problem for each tracker whose package is missing."""
        return [
            Problem(path=f"track.to[{place}]", message=f"{name!r} needs {package}, which is not installed; {fix}")
            for place, name in enumerate(self.to)
            if (found := find_spec(package := TRACKER_PACKAGES[name])) is None or found.origin is None
            if (fix := f"pip install 'convfleet[{name}]'")
        ]


class StudySpec(BaseModel):
    """One study, complete and checked.

    Examples:
        `load_study` makes one of a study file; its sections are attributes:

        >>> import convfleet
        >>> study = convfleet.load_study("quickstart")
        >>> study.name, study.data.source, study.search.algorithm
        ('quickstart', 'digits', 'tpe')

    Attributes:
        name: The study's name, and the name of its run folder.
        seed: The seed of every random choice.
        space: What may vary.
        constraints: What a trial must keep to so that it may win, such as `parameters <= 1e6`: a metric of its best
            report or a cost, one of <=, >=, < and >, and a number. Trials that do not are trained, taught to the
            search and shown last; `space.limits` refuses variants before they train.
        callbacks: Keras callbacks by `module:name` beside the study file; called for epochs and validation, not for
            batches.
        reuse: Folders of other runs; the driver takes over their completed trials of variants that this study proposes.
        references: Whether simple guesses are measured beside the trials, as rows to compare their results with.
        study_dir: The folder that relative names in variants start from, such as a custom family's module;
            `load_study` fills it in.
        code: Hashes of the modules of losses, metrics and callbacks beside the study file; `load_study` fills them in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=100, examples=["my-study"])]
    seed: Count = Field(default=0, ge=0, le=_MAX_SEED, examples=[7])
    data: DataSpec = Field(examples=["{source: digits}"])
    space: SearchSpace
    objective: Objective = Field(default_factory=Objective)
    constraints: Annotated[tuple[str, ...], BeforeValidator(_one_or_several)] = Field(
        default=(), examples=["[parameters <= 1e6, latency_ms <= 5]"]
    )
    search: Search = Field(default_factory=Search)
    schedule: Schedule = Field(default_factory=Schedule)
    resources: Resources = Field(default_factory=Resources)
    storage: Storage = Field(default_factory=Storage)
    export: Export = Field(default_factory=Export)
    track: Track = Field(default_factory=Track)
    callbacks: Annotated[tuple[str, ...], BeforeValidator(_one_or_several)] = Field(
        default=(), examples=["my_callbacks:Stop"]
    )
    reuse: Annotated[tuple[str, ...], BeforeValidator(_one_or_several)] = Field(default=(), examples=["runs/old"])
    references: bool = Field(default=True, strict=True)
    study_dir: str = ""
    code: str = ""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The constraints, in their order."""
        return tuple(map(parse_constraint, self.constraints))

    @property
    def num_trials(self) -> int:
        """The number of trials: as many as the study asks for, at most as many as the space has variants.

        Those of a population that take others' places may have variants that the study had already.
        """
        size = self.space.size
        wanted = self.search.trials
        if self.schedule.has_population:
            return _PLACES * self.schedule.population if wanted is None else wanted
        if wanted is None:
            return size if size is not None else _DEFAULT_TRIALS
        return wanted if size is None else min(wanted, size)

    @property
    def num_proposed(self) -> int:
        """How many variants the search proposes; the other trials of a population go on from earlier ones."""
        return self.schedule.population if self.schedule.has_population else self.num_trials

    @property
    def most_replicates(self) -> int:
        """How many replicates of its leaders the study trains at most."""
        return self.search.replicates * min(self.search.leaders, self.num_trials)

    @property
    def folds(self) -> list[int]:
        """The folds that validate: that of the search, then one for each replicate of a leader; empty: one split."""
        fold, count = self.data.fold, self.data.folds
        if fold is None or count is None or not self.search.replicates or self.search.replicate_on != "folds":
            return []
        return [(fold + place - 1) % count + 1 for place in range(count)]

    @property
    def study_id(self) -> str:
        """12 hexadecimal digits of a hash of all that results depend on; resources and exports do not count."""
        mapping = counted(
            self, exclude={"space", "resources", "storage", "export", "track", "reuse", "references", "study_dir"}
        )
        content = json.dumps({**mapping, "space": space_to_mapping(self.space)}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def to_yaml(self) -> str:
        """Returns the expanded study file: every default written out, but `track` where the study is sent nowhere."""
        mapping = self.model_dump(mode="json", exclude={"space"} if self.track.to else {"space", "track"})
        ordered = {
            "name": mapping.pop("name"),
            "seed": mapping.pop("seed"),
            "data": mapping.pop("data"),
            "space": space_to_mapping(self.space),
            **mapping,
        }
        return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=120)


class Policy(BaseModel):
    """How a study spends: the sections that decide which trials begin and which of them go on.

    Attributes:
        search: Its budgets.
        schedule: Its early stopping.
        resources: What runs at the same time.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    search: Search = Field(default_factory=Search)
    schedule: Schedule = Field(default_factory=Schedule)
    resources: Resources = Field(default_factory=Resources)
