"""The memory that a training step of some variants takes; imported in workers only, because it trains."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.data.batches.tensors import SplitTensors, split_tensors
from trainables.data.cache.dataset import open_dataset
from trainables.errors import InfeasibleError
from trainables.families.building import forget_models
from trainables.machine.imports import spare_imports
from trainables.machine.out_of_memory import is_out_of_memory
from trainables.progress import OnProgress
from trainables.specs.dataset import DatasetInfo
from trainables.specs.worker import DeviceSpec, TrainingSpec
from trainables.training.devices import configure_devices
from trainables.training.epoch_steps import MIN_VALIDATION_BATCH
from trainables.training.training import Training, TrainingRequest

logger = logging.getLogger(__name__)

_MIB = 2**20


def largest_step_mib(
    variants: Sequence[Variant],
    *,
    dataset: DatasetInfo,
    limits: Mapping[str, float],
    study_dir: str,
    progress: OnProgress,
) -> tuple[float, bool]:
    """Returns the largest need of these variants in MiB, and whether it was measured.

    On a GPU each variant trains and validates one batch, and the peak of TensorFlow's pool is its need. Without a GPU
    the arrays of a step are counted, and the images, which TensorFlow may copy to a GPU whole, are added. A variant
    that is infeasible, exceeds the study's limits or fails counts 0; one that is too large for the GPU needs infinitely
    much.
    """
    configure_devices(DeviceSpec(gpus=1))
    spare_imports()
    is_measured = bool(tf.config.list_logical_devices("GPU"))
    data = open_dataset(dataset)
    splits = split_tensors(data.train), split_tensors(data.validation)
    largest = 0.0
    for number, variant in enumerate(variants):
        progress("trying how much memory variants need", number, len(variants))
        try:
            spec = TrainingSpec(max_epochs=1, metric="loss", mode="min", limits=limits, study_dir=study_dir)
            largest = max(largest, _step_mib(variant, splits, dataset=dataset, spec=spec))
        except InfeasibleError:
            continue
        except Exception as exc:  # noqa: BLE001 - it fails again as a trial, which reports why
            if is_out_of_memory(exc):
                return math.inf, is_measured
            logger.info('variant=%s decision=skip reason="%s"', variant.variant_id, exc)
        finally:
            forget_models()
    progress("trying how much memory variants need", len(variants), len(variants))
    if largest and not is_measured and dataset.storage == "decoded":
        largest += dataset.decoded_bytes / _MIB
    return largest, is_measured


def _step_mib(
    variant: Variant, splits: tuple[SplitTensors, SplitTensors], *, dataset: DatasetInfo, spec: TrainingSpec
) -> float:
    train, validation = splits
    batch: Any = FAMILIES[variant.family].with_defaults(variant.params)["batch_size"]
    training: Any = Training(
        TrainingRequest(
            variant=variant,
            # An epoch of one batch.
            train=replace(train, indices=train.indices[:batch]),
            validation=replace(validation, indices=validation.indices[: max(batch, MIN_VALIDATION_BATCH)]),
            task=dataset.task,
            spec=spec,
            statistics=dataset.statistics,
        )
    )
    if not tf.config.list_logical_devices("GPU"):
        return training.estimated_memory_mb() * 1e6 / _MIB
    tf.config.experimental.reset_memory_stats("GPU:0")
    training.run_epoch()
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / _MIB
