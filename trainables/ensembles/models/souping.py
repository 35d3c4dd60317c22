"""Greedy soup: weights of one architecture are averaged while that harms nothing on the validation split.

Source: Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time", arXiv:2203.05482, algorithm 1.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trainables.checkpoints.state_names import validated_weights
from trainables.data.cache.dataset import Dataset
from trainables.ensembles.models.averaging import architecture_of, check_state, mean_weights, renew_statistics
from trainables.ensembles.models.predicting import predict_split, worker_data
from trainables.ensembles.requests import Candidate, SoupAnswer, SoupRequest, Step
from trainables.ensembles.scores import figures_of, goodness
from trainables.exporting.loading import kept_checkpoint, trial_model
from trainables.specs.worker import WorkerSpec
from trainables.training.state import assign, model_variables


def choose_soup(request: SoupRequest) -> SoupAnswer:
    """Returns which weights are averaged: each checkpoint in turn stays where the mean with it is at least as good.

    The candidates are those of the architecture of the first that shares its own with another one.

    Raises:
        ModelExportError: The networks keep numbers that cannot be averaged.
        CheckpointError: A checkpoint is missing or damaged.
    """
    dataset = worker_data(request.worker)
    alike = _alike(request)
    if not alike:
        return SoupAnswer(steps=[], num_others=len(request.candidates))
    pot = Soup(alike[0], worker=request.worker, dataset=dataset)
    steps: list[Step] = []
    for candidate in alike:
        kept = [step.candidate for step in steps if step.is_kept]
        if len(kept) == request.size:
            break
        figures = pot.figures([*kept, candidate])
        best = next((step.figures for step in reversed(steps) if step.is_kept), None)
        is_kept = best is None or goodness(figures, request.measure)[0] >= goodness(best, request.measure)[0]
        steps.append(Step(candidate=candidate, figures=figures, is_kept=is_kept))
    return SoupAnswer(steps=steps, num_others=len(request.candidates) - len(alike), renewed=pot.renewed)


class Soup:
    """A network whose weights are set to means of checkpoints.

    Args:
        first: A checkpoint of its architecture.
        worker: The study's data and checkpoints.
        dataset: The data on this node.
        precision: What it computes in; None: as it was trained.

    Attributes:
        model: The network.
        renewed: How many layers of batch normalisation got new statistics the last time.
    """

    def __init__(self, first: Candidate, *, worker: WorkerSpec, dataset: Dataset, precision: str | None = None) -> None:
        self._worker, self._dataset, self._first = worker, dataset, first
        self._states: dict[str, dict[str, np.ndarray]] = {}
        variant, checkpoint = first.variant, _checkpoint(first, worker)
        if precision is not None:
            variant = replace(variant, params={**variant.params, "precision": precision})
            # What a user's model was made of has been compared: it names the precision of each layer.
            checkpoint = replace(checkpoint, model=None)
        self.model: Any = trial_model(worker, variant, checkpoint)
        self.renewed = 0

    def set_to(self, candidates: Sequence[Candidate]) -> None:
        """Sets the network's weights to the mean of checkpoints, and its statistics to those of the mean.

        Raises:
            ModelExportError: The networks keep numbers that cannot be averaged.
        """
        states = [self._state(candidate) for candidate in candidates]
        assign(model_variables(self.model), mean_weights(states), variant=self._first.variant)
        if len(states) > 1:
            check_state(self.model, states)
            task, seed = self._worker.dataset.task, self._worker.split_seed
            self.renewed = renew_statistics(self.model, self._dataset.train, task=task, seed=seed)

    def figures(self, candidates: Sequence[Candidate]) -> dict[str, float]:
        """Returns what the mean of checkpoints reaches on the validation split."""
        self.set_to(candidates)
        (target,), split = self._worker.dataset.task.targets, self._dataset.validation
        found = predict_split(self.model, split, task=self._worker.dataset.task)
        return figures_of(found, np.asarray(split.labels[target.name][split.indices]), kind=target.kind)

    def _state(self, candidate: Candidate) -> dict[str, np.ndarray]:
        if candidate.name not in self._states:
            self._states[candidate.name] = validated_weights(_checkpoint(candidate, self._worker).state)
        return self._states[candidate.name]


def _alike(request: SoupRequest) -> list[Candidate]:
    """Returns the candidates of the first architecture that several have; none if each has its own."""
    by_variant: dict[str, str] = {}
    groups: dict[str, list[Candidate]] = {}
    for candidate in request.candidates:
        key = f"{candidate.trial} {candidate.variant.variant_id}"
        if key not in by_variant:
            model = trial_model(request.worker, candidate.variant, _checkpoint(candidate, request.worker))
            by_variant[key] = architecture_of(model)
        groups.setdefault(by_variant[key], []).append(candidate)
    return next((group for group in groups.values() if len(group) > 1), [])


def _checkpoint(candidate: Candidate, worker: WorkerSpec) -> Any:
    return kept_checkpoint(worker, trial=candidate.trial, variant=candidate.variant, epoch=candidate.epoch)
