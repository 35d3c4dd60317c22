"""Which of the two documented ways to feed `fit` is faster here: `python -m peers.feeds JOB`.

Writes the seconds an epoch of each. TensorFlow's threads are at their defaults, as in the peers. The faster one is what
every peer is given.
"""

import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

from peers.models import build_model
from peers.shared import load_arrays, make_feed, read_job

STEADY_EPOCHS = 3
#: What the job's `folder` gets.
ANSWER = "feeds.json"
FEEDS: tuple[Literal["arrays", "dataset"], ...] = ("arrays", "dataset")


def main() -> None:
    job = read_job()
    arrays = load_arrays(job)
    seconds = {}
    for kind in FEEDS:
        feed = make_feed(arrays, replace(job, feed=kind))
        model = build_model(job.variants[len(job.variants) // 2], feed)
        taken = []
        for _ in range(1 + STEADY_EPOCHS):
            started = time.perf_counter()
            model.fit(*feed.train, verbose=0, **feed.settings)
            taken.append(time.perf_counter() - started)
        seconds[kind] = statistics.median(taken[1:])
    Path(job.folder, ANSWER).write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
