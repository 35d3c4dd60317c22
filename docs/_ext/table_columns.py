"""The columns of trials.parquet and epochs.parquet, from the tables of a small made-up study."""

from docstrings import code, require, table

from orchestrator.journal.records import EpochReported, StudyOpened, TrialProposed
from orchestrator.journal.study_state import StudyState
from orchestrator.results.tables import epochs_table, trials_table
from trainables.reports import EpochReport

_COLUMNS = {
    "trial": "The trial's name, such as `t0007`.",
    "variant_id": "Follows from family, active parameters and seed: equal content, equal id.",
    "state": "`waiting`, `running`, `paused`, `completed`, `stopped`, `infeasible` or `failed`.",
    "reason": "Why the trial ended as it did, in words.",
    "failure_kind": "See [failures](../howto/failures.md).",
    "family": "The variant's family.",
    "seed": "The variant's seed.",
    "param.filters": "One column a parameter, `param.<name>`; null where the parameter is not active.",
    "parameters": "Weights of the model, frozen ones included; counted.",
    "multiply_adds": "Of one image's prediction, convolutions and dense layers; counted.",
    "memory_mb": "Estimate of a training step: activations of a batch, weights, gradients, optimizer state.",
    "latency_ms": "Median of nine compiled predictions of one image in the trial's worker, while other trials run.",
    "epochs": "Epochs trained by the trial itself, those of `from_epoch` and before not counted.",
    "best_epoch": "The epoch of the best objective.",
    "breaks": "With constraints: those that the trial does not keep to at its best epoch; empty where it keeps to all.",
    "pareto_rank": "With several objectives: the number of the trial's front, 1 where no trial is better.",
    "best_val_accuracy": "The best objective; the column is called `best_<objective>`.",
    "accuracy": "A training metric. Trials: of the last epoch. Epochs: of this one.",
    "val_accuracy": "A validation metric, likewise; one column a metric.",
    "train_seconds": "Seconds in training steps.",
    "overhead_seconds.start": "Ray's start of the process.",
    "overhead_seconds.import": "The import of TensorFlow.",
    "overhead_seconds.data": "Opening the data.",
    "overhead_seconds.build": "Building the model and counting its cost.",
    "overhead_seconds.trace": "Tracing the compiled epoch.",
    "overhead_seconds.validate": "Validation.",
    "overhead_seconds.checkpoint": "Writing checkpoints.",
    "overhead_seconds.report": "From a report to the next epoch.",
    "overhead_seconds.idle": "Without a trial: between two, or before the first.",
    "overhead_seconds.other": "All else.",
    "node": "The node that trained the trial last.",
    "node_type": "The kind of that node, as the cluster names it: its group, else its accelerator.",
    "worker_pid": "Its process.",
    "cpus": "CPUs that it had.",
    "gpus": "GPUs that it had.",
    "gpu_ids": "Which ones.",
    "worker_memory_mb": "Memory that the worker held.",
    "workers_lost": "How many workers died under the trial.",
    "moves": "How often it moved off a node that was about to leave the cluster.",
    "notes": "What a reader should know of the numbers, such as a checkpoint that was passed over.",
    "replicate_of": "The trial whose variant a replicate trains with another seed.",
    "fold": "The fold that a replicate validates on; null: the validation split of the search.",
    "reused_from": "The run that a reused trial was trained in.",
    "parent": "The trial whose checkpoint the trial began from, under `pbt` or `pb2`.",
    "from_epoch": "The epoch of that checkpoint; the trial's own epochs come after it.",
    "replaces": "The trial that ended for it.",
    "started_at": "When a worker first took the trial up.",
    "ended_at": "When the trial ended.",
    "epoch": "Counted from 1.",
    "images_per_second": "Training images seen a second in training steps.",
    "at": "When the report came.",
}
_METRICS = {"accuracy": 0.5, "val_accuracy": 0.5}


def markdown(argument: str) -> str:
    """Returns the columns of one table: `trials` or `epochs`."""
    state = sample_state()
    made = {"trials": trials_table, "epochs": epochs_table}[argument](state)
    rows = [
        [code(field.name), str(field.type), require(_COLUMNS.get(field.name, ""), what=field.name)]
        for field in made.schema
    ]
    return table(["column", "Arrow type", "meaning"], rows)


def sample_state() -> StudyState:
    """Returns a study of two objectives and one trial with one report."""
    report = EpochReport(epoch=1, metrics=_METRICS, train_seconds=1.0, images_per_second=100.0)
    state = StudyState()
    for record in (
        StudyOpened(
            schema=2,
            study="s",
            seed=7,
            metric="val_accuracy",
            mode="max",
            max_epochs=1,
            num_trials=1,
            objectives=[{"metric": "val_accuracy", "mode": "max"}, {"metric": "parameters", "mode": "min"}],
            at=0.0,
        ),
        TrialProposed(
            trial="t0000",
            number=0,
            variant={"family": "sequential", "params": {"filters": 8}, "seed": 7},
            at=0.0,
        ),
        EpochReported(trial="t0000", report=report.to_json(), worker={}, at=1.0),
    ):
        state.apply(record)
    return state
