"""The study's settings that the driver sends to every worker; no TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from trainables.specs.augment import AugmentSpec
from trainables.specs.data import DataSpec
from trainables.specs.dataset import DatasetInfo

#: The umask of worker processes: only the owner can read the files they write into a run folder.
PRIVATE = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCode:
    """Where a user's losses, metrics, callbacks and functions lie, and what their code was as the study began.

    Args:
        folder: The folder of their modules; "": the current one.
        source: Hashes of their code, as `source_of` gives them; "": any code passes.
    """

    folder: str = ""
    source: str = ""


#: For tasks whose losses and metrics have Keras's names.
NO_OWN_CODE = OwnCode()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """The length of a training, its objective and its limits.

    Args:
        max_epochs: Epochs of a trial that is not stopped early.
        metric: The objective, a name in every report.
        mode: `max` or `min`.
        augment: How training images are varied.
        limits: The most that a variant may cost, by names of its cost: parameters, multiply_adds, memory_mb.
        study_dir: The folder that relative names in a variant start from, such as a custom family's module.
        code: Hashes of the code of the study's own losses, metrics and callbacks, which lie in `study_dir`.
        callbacks: Keras callbacks, each `module:name`.
        judged_after: Epochs after which a scheduler may stop a trial for the first time; 0: it stops none.
        repeats: Splits of the images that each trial trains and validates on.
        ties: The metric whose lower value decides between equal ones; empty: the earlier epoch does.
        kept_every: Each checkpoint of so many epochs, twice as many and so on is kept for other trials; 0: none is.
    """

    max_epochs: int
    metric: str
    mode: Literal["max", "min"]
    augment: AugmentSpec = field(default_factory=AugmentSpec)
    limits: Mapping[str, float] = field(default_factory=dict)
    study_dir: str = ""
    code: str = ""
    callbacks: Sequence[str] = ()
    judged_after: int = 0
    repeats: int = 1
    ties: str = ""
    kept_every: int = 0

    @property
    def own_code(self) -> OwnCode:
        """Where the study's own losses, metrics and callbacks lie."""
        return OwnCode(folder=self.study_dir, source=self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """A trial's share of a machine.

    Args:
        cpus: CPUs, fractions allowed.
        gpus: GPUs: 0, a fraction below 1, or a whole number.
        pin_cpus: Whether a worker gets cores of its own, if its share is a whole number and cores are free.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    pin_cpus: bool = False

    @property
    def num_threads(self) -> int:
        """Threads for TensorFlow's pools.

        >>> DeviceSpec(cpus=0.5).num_threads, DeviceSpec(cpus=4).num_threads
        (1, 4)
        """
        return max(1, int(self.cpus))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """The settings that all trials of a study share.

    Args:
        dataset: The decoded data, as found on the driver's node.
        data: The study's data section, for nodes that have not decoded it yet.
        split_seed: The seed of its splits.
        training: The settings of the training.
        device: The share of a machine that each trial may use.
        checkpoints: The folder of checkpoints, the same on every node.
        picture: The file of the picture of augmented training images; None: no picture.
        session: The number of the driver's session, from 1; a worker of an earlier one ends itself. 0: none.
        remote: The URI of the run's copy in remote storage; None: no copy.
        formats: The formats that the best models will be exported in.
        folds: The same images with each other fold as the validation split, by the fold's number; empty: no trial
            validates on another fold.
        mark: The driver's mark in the run folder: a node that does not find it does not share the run folder. "": this
            worker's node need not look for it.
        run_id: Names the run in the folders of nodes that do not share its own; "": it has no storage.
    """

    dataset: DatasetInfo
    data: DataSpec
    split_seed: int
    training: TrainingSpec
    device: DeviceSpec
    checkpoints: str
    picture: str | None = None
    session: int = 0
    remote: str | None = None
    formats: Sequence[str] = ()
    folds: Mapping[int, DatasetInfo] = field(default_factory=dict)
    mark: str = ""
    run_id: str = ""

    def on_fold(self, fold: int) -> "WorkerSpec":
        """Returns the settings of a trial that validates on a fold.

        Args:
            fold: From 1; 0: the validation split of the study.
        """
        if not fold or fold == self.data.fold:
            return self
        return replace(self, dataset=self.folds[fold], data=self.data.model_copy(update={"fold": fold}))
