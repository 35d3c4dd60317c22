"""Requests that come while a model computes share its next batch, and each gets its own rows."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from orchestrator.serving.batches import Batches, NamedArrays


def images_of(*values: float) -> NamedArrays:
    return {"image": np.array(values, np.float32).reshape(-1, 1)}


def predicted(
    requests: list[tuple[str, NamedArrays]], predict: Callable[[NamedArrays], NamedArrays], *, most_images: int = 4
) -> tuple[list[Any], list[int]]:
    """Returns the answers of requests that come while the first one computes, and the sizes of all batches."""
    sizes: list[int] = []
    first, rest = threading.Event(), threading.Event()

    def slow(images: NamedArrays) -> NamedArrays:
        first.set()
        assert rest.wait(60)
        return predict(images)

    async def run() -> list[Any]:
        with ThreadPoolExecutor(2) as executor:
            batches = Batches(executor=executor, most_images=most_images, on_batch=sizes.append)
            tasks = [asyncio.create_task(batches.predict(key, slow, images=images)) for key, images in requests[:1]]
            while not first.is_set():
                await asyncio.sleep(0)
            tasks += [asyncio.create_task(batches.predict(key, slow, images=images)) for key, images in requests[1:]]
            await asyncio.sleep(0)
            rest.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run()), sizes


def doubled(images: NamedArrays) -> NamedArrays:
    if (images["image"] < 0).any():
        raise ValueError("negative")
    return {"twice": 2 * images["image"]}


def test_requests_share_batches_up_to_the_most_images_and_get_their_own_rows() -> None:
    requests = [("a", images_of(*range(start, start + count))) for start, count in ((0, 1), (10, 2), (20, 2), (30, 3))]
    answers, sizes = predicted(requests, doubled)
    assert sizes == [1, 4, 3]
    for (_, images), answer in zip(requests, answers, strict=True):
        assert answer["twice"].tolist() == (2 * images["image"]).tolist()


def test_a_request_above_the_most_images_is_a_batch_of_its_own() -> None:
    answers, sizes = predicted([("a", images_of(0)), ("a", images_of(*range(9))), ("a", images_of(1))], doubled)
    assert sizes == [1, 9, 1]
    assert len(answers[1]["twice"]) == 9


def test_models_do_not_share_batches() -> None:
    _, sizes = predicted([("a", images_of(0)), ("b", images_of(1)), ("b", images_of(2)), ("a", images_of(3))], doubled)
    assert sorted(sizes) == [1, 1, 2]


def test_images_that_break_a_batch_break_their_own_request_alone() -> None:
    answers, sizes = predicted([("a", images_of(0)), ("a", images_of(1)), ("a", images_of(-1))], doubled)
    assert [type(answer) for answer in answers] == [dict, dict, ValueError]
    assert (answers[1]["twice"].tolist(), sizes) == ([[2.0]], [1, 1])


def test_a_request_that_was_given_up_is_not_computed() -> None:
    seen: list[int] = []

    async def run() -> None:
        gate = threading.Event()

        def predict(images: NamedArrays) -> NamedArrays:
            assert gate.wait(60)
            seen.append(int(images["image"][0, 0]))
            return images

        with ThreadPoolExecutor(1) as executor:
            batches = Batches(executor=executor, most_images=1, on_batch=lambda count: None)
            tasks = [asyncio.create_task(batches.predict("a", predict, images=images_of(n))) for n in range(3)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.sleep(0)
            gate.set()
            await asyncio.gather(tasks[0], tasks[2])
            with pytest.raises(asyncio.CancelledError):
                await tasks[1]

    asyncio.run(run())
    assert seen == [0, 2]
