"""The model of a study file, which pydantic validates it against."""

import hashlib
import json
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from orchestrator.study.identity import counted
from orchestrator.study.sections import Export, Objective, Resources, Schedule, Search, Storage
from search_spaces import SearchSpace, space_to_mapping
from trainables.specs.data import DataSpec
from trainables.specs.numbers import Count


def _one_or_several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


_MAX_SEED = 2**31 - 1
_DEFAULT_TRIALS = 20


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
    search: Search = Field(default_factory=Search)
    schedule: Schedule = Field(default_factory=Schedule)
    resources: Resources = Field(default_factory=Resources)
    storage: Storage = Field(default_factory=Storage)
    export: Export = Field(default_factory=Export)
    callbacks: Annotated[tuple[str, ...], BeforeValidator(_one_or_several)] = Field(
        default=(), examples=["my_callbacks:Stop"]
    )
    reuse: Annotated[tuple[str, ...], BeforeValidator(_one_or_several)] = Field(default=(), examples=["runs/old"])
    references: bool = Field(default=True, strict=True)
    study_dir: str = ""
    code: str = ""

    @property
    def num_trials(self) -> int:
        """The number of trials: as many as the study asks for, at most as many as the space has variants."""
        size = self.space.size
        wanted = self.search.trials
        if wanted is None:
            return size if size is not None else _DEFAULT_TRIALS
        return wanted if size is None else min(wanted, size)

    @property
    def study_id(self) -> str:
        """12 hexadecimal digits of a hash of all that results depend on; resources and exports do not count."""
        mapping = counted(self, exclude={"space", "resources", "storage", "export", "reuse", "references", "study_dir"})
        content = json.dumps({**mapping, "space": space_to_mapping(self.space)}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def to_yaml(self) -> str:
        """Returns the expanded study file: every default written out."""
        mapping = self.model_dump(mode="json", exclude={"space"})
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
