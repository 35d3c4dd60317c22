"""Defines and checks a study file's data section, before any file is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from trainables.specs.augment import AugmentSpec
from trainables.specs.masks import mask_problems
from trainables.specs.names import input_problems, target_problems
from trainables.specs.numbers import Count, Number, refuse_bool
from trainables.specs.pixels import Pages
from trainables.specs.targets import TargetSpec
from trainables.user_code import split_reference

SourceName = Literal[
    "digits", "keras", "npz", "parquet", "images", "csv", "idx", "cifar_binary", "webdataset", "tfrecord", "python"
]

#: The sources that take a file, a folder or more for each split.
_BY_SPLIT = ("npz", "parquet", "images", "csv", "idx", "webdataset", "tfrecord")

#: The fields that only some sources have, each with those sources.
SOURCES_OF_FIELD: dict[str, tuple[str, ...]] = {
    "name": ("keras",),
    "path": ("npz", "images", "idx", "cifar_binary"),
    "train": _BY_SPLIT,
    "test": _BY_SPLIT,
    "validation": _BY_SPLIT,
    "function": ("python",),
    "function_dir": ("python",),
    "images": ("csv",),
    "masks": ("images", "csv"),
    "image_column": ("parquet", "csv", "webdataset", "tfrecord"),
    "label_column": ("parquet", "csv", "cifar_binary", "webdataset", "tfrecord"),
    "label_separator": ("csv",),
    "inputs": ("npz", "parquet", "csv", "webdataset", "tfrecord", "python"),
    "group": ("npz", "parquet", "csv", "webdataset", "tfrecord", "python"),
    "order": ("npz", "parquet", "csv", "webdataset", "tfrecord", "python"),
    "sample_weight": ("npz", "parquet", "csv", "webdataset", "tfrecord", "python"),
}

#: The fields of which every source needs one, and how to write it.
REQUIRED: dict[str, tuple[tuple[str, ...], str]] = {
    "digits": ((), ""),
    "keras": (("name",), "name one: name: mnist, fashion_mnist, cifar10 or cifar100"),
    "npz": (("path", "train"), "give path: data.npz (all splits in one file) or train: train.npz"),
    "parquet": (("train",), "give train: train.parquet (a file, a folder or a glob)"),
    "images": (("path", "train"), "give path: a folder of class folders, or train: such a folder"),
    "csv": (("train",), "give train: train.csv, and images: the folder of its images if they lie elsewhere"),
    "idx": (("path", "train"), "give path: the folder of train-images-idx3-ubyte.gz, or train: that file"),
    "cifar_binary": (("path",), "give path: the folder cifar-10-batches-bin or cifar-100-binary"),
    "webdataset": (("train",), "give train: shards/*.tar (a file, a folder or a glob)"),
    "tfrecord": (("train",), "give train: train*.tfrecord (a file, a folder or a glob)"),
    "python": (("function",), "give function: module:function, a module beside the study file"),
}

PATH_FIELDS = ("path", "train", "test", "validation", "images", "masks", "cache_dir")

#: In `images` and `masks`, the place of a split's name.
SPLIT_MARK = "{split}"


#: A number of 0 to 255.
Level = Annotated[Count, Field(ge=0, le=255)]
Background = Annotated[
    Literal["auto", "drop", "white", "black"] | Level | tuple[Level, Level, Level], BeforeValidator(refuse_bool)
]


class DataSpec(BaseModel):
    """Names the images to learn from and how they are split.

    Attributes:
        source: Where the images come from.
        name: Source keras: the data set.
        path: npz: one file with all splits; images: a folder of class folders, or of train, test and validation.
        train: The training split: a file, for images a folder, for csv the table.
        test: The test split; carved out of the training images when there is none.
        validation: The validation split; carved out of the training images when there is none.
        images: Source csv: the folder of the images that the tables name, `{split}` in it stands for the split's name;
            None: each table's own folder.
        masks: Sources images and csv: the folder of the masks of a target of kind mask, with `{split}` as in `images`.
            images: each is named as its image below `path` or `train`; csv: None: the folder of the images.
        function: Source python: `module:function`, returns (x, y) or a mapping with the keys of an npz file.
        function_dir: Source python: the folder that holds the module; `resolved` fills it in.
        image_column: parquet: the column of images; csv: the column of their names, with or without endings.
        label_column: parquet, csv: the column of labels of a lone target.
        label_separator: Source csv: what parts several labels of a multilabel target in one value.
        inputs: npz, parquet, csv, python: the columns or arrays of several images an example; empty: one image.
        targets: What to predict, by name; empty: one class an image, as the source has it.
        limit: Takes the first so many training images only, before any split is carved out of them.
        validation_fraction: The share of the training images held out when the source has no validation split.
        test_fraction: The share of all images held out, before validation, when the source has no test split.
        image_size: (height, width) that every image is resized to.
        channels: 1 makes every image grey, 3 makes every image RGB; None keeps what the images are.
        pixel_range: Which samples become 0 and 255, for all splits alike. auto: 8 bits are taken as they are, up to the
            largest where the training images end at 16 or less; whole numbers of more bits from the smallest to the
            largest of the training images where these take less than 14 bits or have a sign, else 16 bits as a whole;
            floats from 0 to 1. full: 0 to 255, 0 to 65535 and 0 to 1. [low, high]: these, for images of any depth.
        background: The colour under transparent pixels: white, black, a grey value or [red, green, blue]. drop: alpha
            is dropped, and the colours that it hides show. auto: likewise, but where a tenth or more of the transparent
            training images have their shape in alpha alone, all are laid on white, or on a grey that shows their ink
            better.
        reduced_decoding: Decodes JPEGs that `image_size` shrinks at a half, a quarter or an eighth of their size, no
            smaller than 1.5 times `image_size`. Faster; pixels differ by a few of 255, at edges by up to 32.
        pages: TIFF images of several pages: refused, the first page read, or three grey ones read as channels.
        augment: How training images are varied.
        cache_dir: Where decoded data sets are kept; None: the environment's CONVFLEET_CACHE, else the user's cache.
        memory_gb: What all decoded images together may take, in 10^9 bytes; larger data sets are streamed. None: half
            of this machine's memory.
        group: npz, parquet, csv, python: a column or array, such as patient, whose values no two splits share.
        order: npz, parquet, csv, python: a column or array of numbers, dates or times; test and validation come last.
        sample_weight: npz, parquet, csv, python: a column or array of numbers from 0: how much each training image
            counts in the loss, as `sample_weight` of Keras's `fit`.
        folds: The number of parts that the training images fall into after the test split is taken; one of them is the
            validation split.
        fold: Which of the folds is the validation split, counted from 1.
        allow_overlap: Trains although half of the source's test or validation images are training images as well, or
            all training images are blank and equal, which are errors otherwise: such results say nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: SourceName
    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100"] | None = None
    path: str | None = None
    train: str | None = None
    test: str | None = None
    validation: str | None = None
    images: str | None = None
    masks: str | None = None
    function: str | None = None
    function_dir: str | None = None
    image_column: str = "image"
    label_column: str = "label"
    label_separator: str | None = Field(default=None, min_length=1, examples=["|"])
    inputs: tuple[str, ...] = Field(default=(), examples=[["left", "right"]])
    targets: dict[str, TargetSpec] = Field(default_factory=dict, examples=["{digit: {kind: classification}}"])
    limit: Count | None = Field(default=None, ge=1)
    validation_fraction: Number = Field(default=0.1, gt=0.0, lt=1.0)
    test_fraction: Number = Field(default=0.2, gt=0.0, lt=1.0)
    image_size: tuple[Count, Count] | None = Field(default=None, examples=[[32, 32]])
    channels: Annotated[Literal[1, 3] | None, BeforeValidator(refuse_bool)] = None
    pixel_range: Annotated[Literal["auto", "full"] | tuple[Number, Number], BeforeValidator(refuse_bool)] = Field(
        default="auto", examples=["[0, 4095]"]
    )
    background: Background = Field(default="auto", examples=["white"])
    reduced_decoding: bool = Field(default=False, strict=True)
    pages: Pages = "refuse"
    augment: AugmentSpec = AugmentSpec()
    cache_dir: str | None = None
    memory_gb: Number | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    group: str | None = Field(default=None, min_length=1, examples=["patient"])
    order: str | None = Field(default=None, min_length=1, examples=["date"])
    sample_weight: str | None = Field(default=None, min_length=1, examples=["weight"])
    folds: Count | None = Field(default=None, ge=2, examples=[5])
    fold: Count | None = Field(default=None, ge=1, examples=[1])
    allow_overlap: bool = Field(default=False, strict=True)

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = [*_strangers(self), *_missing(self), *_remote(self), *_column_problems(self)]
        problems += target_problems(self.targets, source=self.source)
        problems += _splitting_problems(self)
        problems += mask_problems(self.targets, source=self.source, folder=self.masks, augment=self.augment)
        problems += input_problems(self.inputs, targets=self.target_specs)
        if self.image_size is not None and min(self.image_size) < 1:
            problems.append(f"image_size: expected [height, width], each >= 1, got {list(self.image_size)}")
        if self.reduced_decoding and self.image_size is None:
            problems.append("reduced_decoding: needs an image_size to shrink images to, got none; set image_size")
        if isinstance(self.pixel_range, tuple) and not self.pixel_range[0] < self.pixel_range[1]:
            problems.append(f"pixel_range: expected [low, high], low below high, got {list(self.pixel_range)}")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def target_specs(self) -> dict[str, TargetSpec]:
        """What to predict, by name: as written, else the one class that every image has."""
        return self.targets or {"label": TargetSpec(column=self.label_column)}

    @property
    def split_columns(self) -> dict[str, str]:
        """The columns that splits are carved by, each by the field that names it."""
        named = {"group": self.group, "order": self.order}
        return {field: column for field, column in named.items() if column is not None}

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the images of every example."""
        return self.inputs or ("image",)

    @property
    def lone_target(self) -> str:
        """The name of the only target of a source that has one label an image."""
        return next(iter(self.target_specs))

    def image_folder(self, split: str) -> str | None:
        """Returns the folder of the images that a split's table names; None: the table's own."""
        return self.images.replace(SPLIT_MARK, split) if self.images is not None else None

    def mask_folder(self, split: str) -> str | None:
        """Returns the folder of the masks of a split's images; None: that of the images."""
        return self.masks.replace(SPLIT_MARK, split) if self.masks is not None else None

    def resolved(self, base: Path) -> DataSpec:
        """Returns this spec with every path absolute: `~` is expanded, relative paths start at `base`."""
        updates = {
            field: str(base.absolute() / Path(value).expanduser())
            for field in PATH_FIELDS
            if (value := getattr(self, field)) is not None
        }
        if self.source == "python":
            folder = Path(self.function_dir).expanduser() if self.function_dir else Path()
            updates["function_dir"] = str(base.absolute() / folder)
        return self.model_copy(update=updates)


def _strangers(spec: DataSpec) -> list[str]:
    """Returns a problem for each field that belongs to other sources."""
    problems = []
    for field, sources in SOURCES_OF_FIELD.items():
        # Compared with the default, not with the set of written fields: an expanded study file writes every field.
        value = getattr(spec, field)
        if value != DataSpec.model_fields[field].default and spec.source not in sources:
            owners = " or ".join(repr(source) for source in sources)
            problems.append(
                f"{field}: belongs to source {owners}, got {value!r} with source {spec.source!r}; "
                f"remove {field} or change source"
            )
    return problems


def _missing(spec: DataSpec) -> list[str]:
    """Returns a problem when the field that the source needs is missing, given twice or malformed."""
    fields, fix = REQUIRED[spec.source]
    given = [field for field in fields if getattr(spec, field) is not None]
    if fields and not given:
        return [f"{' or '.join(fields)}: source {spec.source!r} needs it, got nothing; {fix}"]
    if "path" in given:
        doubled = [field for field in ("train", "test", "validation") if getattr(spec, field) is not None]
        if doubled:
            return [f"path: holds all splits, but {', '.join(doubled)} came with it; give path alone or train instead"]
    if spec.function is not None and split_reference(spec.function) is None:
        return [f"function: expected 'module:function', got {spec.function!r}; for example 'my_data:load'"]
    return []


def _column_problems(spec: DataSpec) -> list[str]:
    """Returns a problem for each column that is given where targets or inputs name their own."""
    problems = []
    if spec.targets and spec.label_column != DataSpec.model_fields["label_column"].default:
        problems.append(
            f"label_column: targets name their own columns, got {spec.label_column!r} beside them; "
            f"write targets: {{{next(iter(spec.targets))}: {{column: {spec.label_column}}}}} instead"
        )
    if spec.inputs and spec.image_column != DataSpec.model_fields["image_column"].default:
        problems.append(
            f"image_column: is for one image an example, got {spec.image_column!r} beside inputs {list(spec.inputs)}; "
            "name all columns in inputs"
        )
    if spec.source != "csv":
        problems += [
            f"targets.{name}.columns: belongs to source 'csv', got {list(target.columns)} with source {spec.source!r}; "
            "name one column: column: ..."
            for name, target in spec.targets.items()
            if target.columns
        ]
    return problems


def _splitting_problems(spec: DataSpec) -> list[str]:
    """Returns a problem for each setting of splits that another one contradicts."""
    problems = []
    if spec.order is not None and spec.group is not None:
        problems.append(
            f"order: splits follow one rule, got {spec.order!r} beside group {spec.group!r}; remove one of them"
        )
    if spec.order is not None and spec.folds is not None:
        problems.append(
            "folds: all but the last fold would train on images that come after its validation split, got "
            f"{spec.folds} beside order {spec.order!r}; remove one of them"
        )
    if (spec.folds is None) != (spec.fold is None):
        given, missing = ("folds", "fold") if spec.fold is None else ("fold", "folds")
        fix = "which of them is the validation split" if missing == "fold" else "how many there are"
        problems.append(f"{missing}: {given} needs it, got nothing; say {fix}")
    elif spec.folds is not None and spec.fold is not None:
        if spec.fold > spec.folds:
            problems.append(f"fold: expected one of the {spec.folds} folds, counted from 1, got {spec.fold}")
        for field in ("validation", "validation_fraction"):
            if getattr(spec, field) != DataSpec.model_fields[field].default:
                problems.append(
                    f"{field}: a fold is the validation split, got {getattr(spec, field)!r} beside folds {spec.folds}; "
                    "remove one of them"
                )
    return problems


def _remote(spec: DataSpec) -> list[str]:
    """Returns a problem for each path that is a URL."""
    return [
        f"{field}: expected a path on this machine, got the URL {value!r}; copy the data to a local or mounted folder"
        for field in PATH_FIELDS
        if (value := getattr(spec, field)) is not None and "://" in value
    ]
