"""Which variants of a built-in space should be tried first: `python benchmarks/portfolio.py cnn-small few --json F`.

Draws variants of the space at random, trains each on every made data set of a size class as a study would (its epochs,
one split, one thread) and then chooses greedily: the variant whose addition lowers the mean regret most, where the
regret of a portfolio on a data set is the best test accuracy of any variant less that of the portfolio's best one by
validation accuracy. None of the data sets is one of out_of_the_box.py.

Source: Feurer et al. 2020, arXiv:2007.04074, section 3.1; Winkelmolen et al. 2020, arXiv:2012.08180.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from first_run.data_sets import write
from first_run.portfolio_sets import SIZES

from search_spaces import make_variant, space_from_mapping

SEED = 5
#: The batch sizes that a study's auto leaves in, about.
LARGEST_BATCH = {"few": 16, "more": 128}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("space", nargs="?", default="cnn-small", help="A built-in space.")
    parser.add_argument("size", nargs="?", default="few", choices=SIZES, help="Of the data sets.")
    parser.add_argument("--variants", type=int, default=32)
    parser.add_argument("--epochs", type=int, help="Default: as many as a study's auto has.")
    parser.add_argument("--choose", type=int, default=4, help="How many variants the portfolio has.")
    parser.add_argument("--json", type=Path, help="Written at the end.")
    options = parser.parse_args()
    variants = drawn(options.space, count=options.variants, largest_batch=LARGEST_BATCH[options.size])
    folder = Path(tempfile.mkdtemp(prefix="portfolio-"))
    for name, make in SIZES[options.size].items():
        write(make(), folder / name)
    jobs = [
        (str(folder / name / "images"), values, options.epochs) for name in SIZES[options.size] for values in variants
    ]
    started = time.monotonic()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        results = list(pool.map(measured, jobs))
    names = list(SIZES[options.size])
    table = np.array(results).reshape(len(names), len(variants), 2)
    chosen = greedy(table[..., 0], table[..., 1], count=options.choose)
    told = {
        "command": sys.argv,
        "seconds": time.monotonic() - started,
        "data_sets": names,
        "variants": variants,
        "validation": table[..., 0].tolist(),
        "test": table[..., 1].tolist(),
        "chosen": chosen,
    }
    if options.json:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    show(names, variants, table, chosen)


def drawn(name: str, *, count: int, largest_batch: int) -> list[dict]:
    """Returns values of so many variants, each parameter drawn alone from its domain."""
    space, random = space_from_mapping(name), np.random.default_rng(SEED)
    batches = next((parameter.domain for parameter in space.parameters if parameter.name == "batch_size"), None)
    if batches is not None and batches.size is not None:
        # As in a study: where all of them leave few steps, the smallest stays.
        largest_batch = max(largest_batch, min(batches.at(place) for place in range(batches.size)))
    found = []
    while len(found) < count:
        values: dict = {}
        for parameter in space.parameters:
            if not space.is_active(parameter.name, values):
                continue
            values[parameter.name] = one_of(parameter.domain, random)
        if values.get("batch_size", 0) <= largest_batch:
            found.append(values)
    return found


def one_of(domain, random):
    """Returns a value of a domain, drawn as the search's random draws are: by the logarithm where it says so."""
    if domain.size is not None:
        return domain.at(int(random.integers(domain.size)))
    low, high = (np.log(domain.low), np.log(domain.high)) if domain.log else (domain.low, domain.high)
    value = random.uniform(low, high)
    return float(np.exp(value) if domain.log else value)


def measured(job: tuple[str, dict, int | None]) -> tuple[float, float]:
    """Returns the best validation accuracy of a variant's epochs, and the test accuracy of that epoch's model.

    Both are 0 where the variant does not fit the images, or came to numbers that are none.
    """
    from trainables.errors import DivergedError, InfeasibleError

    try:
        return trained(*job)
    except (DivergedError, InfeasibleError) as exc:
        print(f"{Path(job[0]).parent.name} {exc}", flush=True)
        return 0.0, 0.0


def trained(images: str, values: dict, epochs: int | None) -> tuple[float, float]:
    """Returns what `measured` does.

    Args:
        images: The folder of a data set.
        values: The variant's.
        epochs: Of its training; None: as many as a study has.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from orchestrator.driver.auto_schedule import with_numbers
    from orchestrator.study.loading import load_study
    from trainables.data.batches.tensors import split_tensors
    from trainables.data.cache.dataset import open_dataset
    from trainables.data.cache.prepare import prepare_dataset
    from trainables.machine.imports import import_tensorflow
    from trainables.specs.worker import DeviceSpec, TrainingSpec

    import_tensorflow()
    from trainables.training.devices import configure_devices
    from trainables.training.training import Training, TrainingRequest

    configure_devices(DeviceSpec(cpus=1))
    params = {name: value for name, value in values.items() if name != "family"}
    study = load_study(
        {
            "name": "portfolio",
            "data": {"source": "images", "path": images, "validation_fraction": 0.25, "cache_dir": f"{images}-cache"},
            "space": {"family": values["family"], "params": params},
        }
    )
    info = prepare_dataset(study.data, SEED)
    resolved, _ = with_numbers(study, info)
    data = open_dataset(info)
    spec = TrainingSpec(max_epochs=epochs or resolved.schedule.epochs, metric="val_accuracy", mode="max")
    request = TrainingRequest(
        variant=make_variant(study.space, values, seed=SEED),
        train=split_tensors(data.train),
        validation=split_tensors(data.validation),
        task=info.task,
        spec=spec,
        statistics=info.statistics,
    )
    training = Training(request)
    pixels, labels = np.asarray(data.test.images, np.float32), np.asarray(data.test.labels["label"])
    best = (-1.0, 0.0)
    for report in training.epochs():
        if report.metrics["val_accuracy"] > best[0]:
            answers = np.concatenate(
                [np.asarray(training.model(pixels[at : at + 200], training=False)) for at in range(0, len(pixels), 200)]
            )
            best = report.metrics["val_accuracy"], float((answers.argmax(axis=1) == labels).mean())
    print(f"{Path(images).parent.name} {best[0]:.3f} {best[1]:.3f} {params}", flush=True)
    return best


def greedy(validation: np.ndarray, test: np.ndarray, *, count: int) -> list[int]:
    """Returns the variants of a portfolio in the order in which they lower the mean regret over data sets.

    >>> test = np.array([[0.9, 0.5, 0.8], [0.1, 0.9, 0.8]])
    >>> greedy(test, test, count=2)
    [2, 0]

    Args:
        validation: By data set and variant.
        test: By data set and variant.
        count: How many.
    """
    best, chosen = test.max(axis=1), []
    for _ in range(min(count, test.shape[1])):
        left = [number for number in range(test.shape[1]) if number not in chosen]
        chosen.append(min(left, key=lambda number: regret(validation, test, best=best, chosen=[*chosen, number])))
    return chosen


def regret(validation: np.ndarray, test: np.ndarray, *, best: np.ndarray, chosen: list[int]) -> tuple[float, float]:
    """Returns the mean regret of a portfolio; of equals the mean test accuracy of its last variant decides."""
    winners = [chosen[int(row[chosen].argmax())] for row in validation]
    reached = test[np.arange(len(test)), winners]
    return round(float((best - reached).mean()), 9), -float(test[:, chosen[-1]].mean())


def show(names, variants, table, chosen) -> None:
    """Prints the chosen variants with their accuracies."""
    best = table[..., 1].max(axis=1)
    print("best of any: " + ", ".join(f"{name} {value:.3f}" for name, value in zip(names, best, strict=True)))
    middle = np.median(table[..., 1], axis=1)
    print("median variant: " + ", ".join(f"{name} {value:.3f}" for name, value in zip(names, middle, strict=True)))
    for place, number in enumerate(chosen, start=1):
        value, _ = regret(table[..., 0], table[..., 1], best=best, chosen=chosen[:place])
        accuracies = ", ".join(f"{test:.3f}" for test in table[:, number, 1])
        print(f"{place}. mean regret {value:.4f} with it; alone {accuracies}: {variants[number]}")


if __name__ == "__main__":
    main()
