"""The description of a prepared data set, as plain data that the driver receives."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from trainables.specs.pixels import PLAIN_RULE, PixelRule, PixelStatistics
from trainables.specs.task import Task

#: decoded: as arrays that all workers map into memory. encoded: in image formats, decoded anew for every batch.
ImageStorage = Literal["decoded", "encoded"]
IMAGE_STORAGES: tuple[ImageStorage, ...] = ("decoded", "encoded")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """Everything about a prepared data set except its images.

    Attributes:
        key: Names the decoded images: equal content and decoding settings, equal key.
        split_key: Names the rows of each split.
        folder: The cache entry on this node.
        task: A model's inputs and targets.
        statistics: The pixels of the training split, by stored channel.
        num_train: Rows of the training split; likewise validation and test.
        fingerprint: Equal for equal pixels, labels, names and splits, from any source and in any storage.
        storage: How the images are stored, chosen once for all nodes.
        decoded_bytes: The size of all images when decoded.
        notes: Sentences for the user about what was read.
        look: What a look at the splits counted, from `data.look.facts`.
        pixel_rule: How the samples of pictures become pixels.
        decoders: The libraries that decoded the pictures, each with its version.
        is_validation_carved: Whether the validation split was carved out of the training images.
    """

    key: str
    split_key: str
    folder: str
    task: Task
    statistics: PixelStatistics
    num_train: int
    num_validation: int
    num_test: int
    fingerprint: str
    storage: ImageStorage = "decoded"
    decoded_bytes: int = 0
    notes: tuple[str, ...] = ()
    look: Mapping[str, Any] = field(default_factory=dict, hash=False)
    pixel_rule: PixelRule = PLAIN_RULE
    decoders: Mapping[str, str] = field(default_factory=dict, hash=False)
    is_validation_carved: bool = False

    @property
    def most_splits(self) -> int:
        """How many splits the training and validation images make at most, if no image may validate twice."""
        return 1 + self.num_train // self.num_validation if self.is_validation_carved else 1

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping."""
        return asdict(self)

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> "DatasetInfo":
        """Returns the info that `to_json` described."""
        statistics = {name: tuple(values) for name, values in mapping["statistics"].items()}
        task = Task.from_json(mapping["task"])
        notes = tuple(mapping.get("notes", ()))
        rule = PixelRule.from_json(mapping.get("pixel_rule", {}))
        read = {"task": task, "statistics": PixelStatistics(**statistics), "notes": notes, "pixel_rule": rule}
        return cls(**{**mapping, **read})
