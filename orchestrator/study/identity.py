"""What of a study counts for its id: all that results depend on, by the keys that its file has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from trainables.specs.data import PATH_FIELDS

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
    if isinstance(value, BaseModel):
        return _without_later_defaults(value, dumped, path=path)
    if isinstance(value, Mapping):
        return {key: _pruned(item, dumped[key], path=f"{path}*.") for key, item in value.items()}
    return dumped
