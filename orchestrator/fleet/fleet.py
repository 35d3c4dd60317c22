"""The models of a run, to list, choose, compare and iterate."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.fleet.difference import Difference, difference_of
from orchestrator.fleet.model import FleetModel, model_of
from orchestrator.fleet.run import FleetRun


class Fleet:
    """Models of a run, in the order in which their trials were proposed; iterating them builds none.

    `fleet["t0007"]` is one of them, `"t0007" in fleet` says whether it is there, and `len(fleet)` how many there are.

    Args:
        models: All of one run.
        run: That run.
    """

    def __init__(self, models: Sequence[FleetModel], *, run: FleetRun) -> None:
        self._models = {model.name: model for model in models}
        self.run = run

    def __iter__(self) -> Iterator[FleetModel]:
        return iter(self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, name: object) -> bool:
        return name in self._models

    def __getitem__(self, name: str) -> FleetModel:
        """Returns the model of a trial, also one that a filter left out.

        Raises:
            InputError: If the run has no such trial; the message has those that there are.
        """
        return self._models.get(name) or model_of(self.run.trial(name), run=self.run)

    @property
    def by_name(self) -> dict[str, FleetModel]:
        """The models by the names of their trials, as a dictionary of the caller's own."""
        return dict(self._models)

    def filter(self, keep: Callable[[FleetModel], bool]) -> "Fleet":
        """Returns the models that a function returns True for.

        Args:
            keep: Takes a model.
        """
        return Fleet([model for model in self if keep(model)], run=self.run)

    def layers(self) -> dict[str, list[dict[str, Any]]]:
        """Returns the layers of each model by its name, as `FleetModel.layers`; one child process builds all of them.

        Raises:
            InputError: If a model cannot be built, or the study or its images cannot be read any more.
        """
        return self.run.layers([model.trial for model in self])

    def diff(self, first: str, second: str, *, split: str = "validation", quick: bool = False) -> Difference:
        """Returns what differs between two trials, as `convfleet diff` shows it; `to_json` of it is a dictionary.

        Args:
            first: The name of a trial.
            second: The name of another one.
            split: Whose images both answer: validation or test.
            quick: Whether to go without layers and mistakes, which a child process finds out.

        Raises:
            InputError: If there is no such trial or split, or both names are the same.
        """
        return difference_of(self[first], self[second], split=split, quick=quick)


def models(root: Path | str, *, notify: Callable[[str], None] | None = None) -> Fleet:
    """Returns the models of a run as objects, finished or not; builds none of them and starts nothing.

    Examples:
        Lists the small models of a run, and loads the best of them::

            import convfleet

            fleet = convfleet.models("runs/quickstart")
            small = fleet.filter(lambda model: model.costs.get("parameters", 1e9) <= 1e5 and model.checkpoint.is_kept)
            for model in small:
                print(model.name, model.params["filters"], model.metrics["val_accuracy"])
            best = max(small, key=lambda model: model.metrics["val_accuracy"])
            print(best.load().count_params())

    Args:
        root: The run folder.
        notify: Receives messages while images are read or models are built; None: nothing is shown.

    Returns:
        One object a trial.

    Raises:
        RunFolderError: If no run folder lies at `root`.
        JournalError: If the journal is damaged.
    """
    run = FleetRun(Path(root), notify=notify)
    return Fleet([model_of(trial, run=run) for trial in run.state.trials.values()], run=run)
