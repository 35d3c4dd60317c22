"""Batches without waiting: what arrives while a model computes is its next batch."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Arrays by the name of an input or output.
NamedArrays = Mapping[str, np.ndarray]
#: Returns a model's outputs for its inputs.
Predictor = Callable[[NamedArrays], NamedArrays]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Waiting:
    """The images of one request.

    Attributes:
        predict: The model, held by whoever waits for it: it may leave the memory of models meanwhile.
        images: Equally many for each input.
        count: How many.
        answer: Gets the outputs, or what went wrong.
    """

    predict: Predictor
    images: NamedArrays
    count: int
    answer: "asyncio.Future[NamedArrays]"


class Batches:
    """Predicts the images of several requests at once, those of one model together.

    Args:
        executor: Where models compute.
        most_images: How many images a batch has, unless one request alone has more.
        on_batch: Receives the number of images of each batch.
    """

    def __init__(self, *, executor: Executor, most_images: int, on_batch: Callable[[int], None]) -> None:
        self._executor = executor
        self._most_images = most_images
        self._on_batch = on_batch
        #: By model: what waits while the model computes, first come, first served. No key: the model is idle.
        self._waiting: dict[Hashable, deque[_Waiting]] = {}
        #: An event loop itself does not keep tasks alive.
        self._tasks: set[asyncio.Task[None]] = set()

    async def predict(self, key: Hashable, predict: Predictor, *, images: NamedArrays) -> NamedArrays:
        """Returns the outputs for one request's images.

        Args:
            key: Names the version of a model: only images of one key share a batch.
            predict: That version.
            images: By input name, equally many for each, of the model's shapes.
        """
        answer = asyncio.get_running_loop().create_future()
        item = _Waiting(predict=predict, images=images, count=len(next(iter(images.values()))), answer=answer)
        if (waiting := self._waiting.get(key)) is not None:
            waiting.append(item)
        else:
            self._waiting[key] = deque([item])
            task = asyncio.create_task(self._work(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _work(self, key: Hashable) -> None:
        waiting = self._waiting[key]
        try:
            while waiting:
                # Of requests that were given up, nobody wants the answer.
                if batch := [item for item in self._taken(waiting) if not item.answer.done()]:
                    await self._answer(batch)
        finally:
            del self._waiting[key]

    def _taken(self, waiting: deque[_Waiting]) -> list[_Waiting]:
        batch = [waiting.popleft()]
        count = batch[0].count
        while waiting and count + waiting[0].count <= self._most_images:
            batch.append(waiting.popleft())
            count += batch[-1].count
        return batch

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outputs = await loop.run_in_executor(self._executor, _predicted, batch)
        except Exception as exc:  # noqa: BLE001 - a runtime raises anything; whoever asked receives it
            if len(batch) == 1:
                _set(batch[0].answer, exc)
                return
            # Nobody's images may spoil the answer of another request.
            for item in batch:
                await self._answer([item])
            return
        self._on_batch(sum(item.count for item in batch))
        start = 0
        for item in batch:
            _set(item.answer, {name: array[start : start + item.count] for name, array in outputs.items()})
            start += item.count


def _predicted(batch: Sequence[_Waiting]) -> NamedArrays:
    if len(batch) == 1:
        return batch[0].predict(batch[0].images)
    images = {name: np.concatenate([item.images[name] for item in batch]) for name in batch[0].images}
    return batch[0].predict(images)


def _set(answer: "asyncio.Future[Any]", outcome: Any) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
