"""The layers of a built model, as rows that a process without TensorFlow can read."""

from collections.abc import Iterator
from typing import Any


def layer_rows(model: Any) -> list[dict[str, Any]]:
    """Returns one row a layer but inputs, in the order of the model; layers inside layers follow in their place.

    A row has `name`, `class`, `output` (the shape without the batch; a list of shapes where there are several; None
    where Keras does not know it), `parameters`, `trainable`, `weights` (shape and type of each) and `settings`.

    Args:
        model: A built Keras model.
    """
    # Late: it imports TensorFlow, and the driver imports this room.
    from trainables.families.parts.signature import layer_entries

    entries = {id(layer): entry for layer, entry in layer_entries(model)}
    ordered = {id(layer): layer for layer in _in_order(model)}
    rows = [_row(layer, entries[key]) for key, layer in ordered.items() if key in entries]
    # Keras lists the inputs of a graph, and not those of a stack.
    return [row for row in rows if row["class"] != "InputLayer"]


def _in_order(layer: Any) -> Iterator[Any]:
    """Yields the layers of a model; in place of a nested model its layers, behind a layer those inside it."""
    # Late, as above.
    from trainables.families.parts.keras_internals import inner_layers

    for item in layer.layers:
        if getattr(item, "layers", None):
            yield from _in_order(item)
        else:
            yield item
            yield from inner_layers(item)


def _row(layer: Any, entry: dict[str, Any]) -> dict[str, Any]:
    weights = list(layer.variables) if entry["weights"] else []
    settings = {name: value for name, value in entry["settings"].items() if name != "trainable"}
    return {
        "name": str(layer.name),
        "class": entry["class"],
        "output": _output(layer),
        "parameters": sum(_size(variable) for variable in weights),
        "trainable": bool(layer.trainable),
        "weights": entry["weights"],
        "settings": settings,
    }


def _size(variable: Any) -> int:
    size = 1
    for length in variable.shape:
        size *= int(length)
    return size


def _output(layer: Any) -> Any:
    try:
        output = layer.output
    except (AttributeError, ValueError):
        return None  # it is called with several inputs, or inside another layer alone
    if isinstance(output, dict):
        return {str(name): _shape(part) for name, part in output.items()}
    return [_shape(part) for part in output] if isinstance(output, list | tuple) else _shape(output)


def _shape(tensor: Any) -> list[int | None]:
    return [None if length is None else int(length) for length in tensor.shape[1:]]
