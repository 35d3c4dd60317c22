"""Versions as text for people and as JSON for scripts: lists, one model, one version, two side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.registry.entries import ModelVersion
from orchestrator.registry.state import NamedModel
from orchestrator.text import moment, number, one_line, size_in_words

_GAP = "  "
#: Metrics of a version in a list, of which there is room for few.
_MOST_METRICS = 2


def version_json(model: NamedModel, version: ModelVersion) -> dict[str, Any]:
    """Returns a version as JSON has it."""
    return {
        "name": version.name,
        "version": version.version,
        "aliases": model.aliases_of(version.version),
        "study": version.study,
        "trial": version.trial,
        "rank": version.rank,
        "epoch": version.epoch,
        "variant": dict(version.variant),
        "num_parameters": version.num_parameters,
        "metrics": dict(version.metrics),
        "test_metrics": dict(version.test_metrics),
        "dataset_fingerprint": version.dataset_fingerprint,
        "formats": version.formats,
        "size_bytes": version.size_bytes,
        "added_at": version.added_at,
    }


def model_json(model: NamedModel) -> dict[str, Any]:
    """Returns a model as JSON has it: its aliases, and its versions, first to last."""
    return {
        "name": model.name,
        "aliases": model.aliases,
        "splits": {alias: split_json(shares) for alias, shares in sorted(model.splits.items())},
        "versions": [version_json(model, version) for version in model.versions.values()],
    }


def split_json(shares: Mapping[int, float]) -> dict[str, float]:
    """Returns the shares of an alias as JSON has them."""
    return {str(version): share for version, share in sorted(shares.items())}


def moves_json(model: NamedModel) -> dict[str, list[dict[str, Any]]]:
    """Returns every move of each alias as JSON has it, first to last."""
    return {
        alias: [{"version": move.version, "how": move.how, "at": move.at} for move in moves]
        for alias, moves in sorted(model.moves.items())
    }


def list_lines(models: Sequence[NamedModel]) -> list[str]:
    """Returns one line a version, by name and number, below a heading."""
    head = ("model", "version", "aliases", "study", "trial", "test metrics", "size", "added")
    return _table([head, *(_row(model, version) for model in models for version in model.versions.values())])


def model_lines(model: NamedModel) -> list[str]:
    """Returns a model's versions, and the moves of its aliases."""
    lines = list_lines([model])
    lines += [f"version {version} was removed {moment(at)}" for version, at in sorted(model.removed.items())]
    for alias, moves in sorted(model.moves.items()):
        shares = model.splits.get(alias, {})
        split = ", ".join(f"version {version} {share:.4g}" for version, share in sorted(shares.items()))
        lines += ["", f"{alias}: {_pointed(model.aliases.get(alias))}{f'; by a key {split}' if split else ''}"]
        lines += [f"  {moment(move.at)}  {move.how:<8}  {_pointed(move.version)}" for move in moves]
    return lines


def version_lines(model: NamedModel, version: ModelVersion, *, manifest: Mapping[str, Any]) -> list[str]:
    """Returns all of a version that people ask for."""
    variant = version.variant
    params = variant.get("params", {})
    facts = {
        "aliases": ", ".join(model.aliases_of(version.version)) or "none",
        "study": f"{version.study}, trial {version.trial}, rank {version.rank}, epoch {version.epoch}",
        "added": moment(version.added_at),
        "data": version.dataset_fingerprint,
        "family": f"{variant.get('family')}, seed {variant.get('seed')}, variant {variant.get('variant_id')}",
        "params": "; ".join(f"{name} {number(value)}" for name, value in params.items()),
        "weights": f"{version.num_parameters:,}",
        "metrics": _metrics(version.metrics),
        "test": _metrics(version.test_metrics),
        "inputs": "; ".join(f"{item.get('name')} {item.get('shape')}" for item in manifest.get("inputs", [])),
        "outputs": "; ".join(_output(item) for item in manifest.get("outputs", [])),
        "formats": ", ".join(version.formats) or "none",
        "size": f"{size_in_words(version.size_bytes)}, {len(version.files)} files",
    }
    return [f"{version.name} version {version.version}", *(f"  {key:<8} {one_line(v)}" for key, v in facts.items())]


def comparison(one: ModelVersion, other: ModelVersion) -> dict[str, tuple[Any, Any]]:
    """Returns what two versions have side by side: metrics, parameters, size, formats, origin."""
    rows: dict[str, tuple[Any, Any]] = {
        "study": (one.study, other.study),
        "trial": (one.trial, other.trial),
        "dataset_fingerprint": (one.dataset_fingerprint, other.dataset_fingerprint),
    }
    rows |= _side_by_side("test", one.test_metrics, other.test_metrics)
    rows |= _side_by_side("metrics", one.metrics, other.metrics)
    rows["epoch"] = one.epoch, other.epoch
    rows["family"] = one.variant.get("family"), other.variant.get("family")
    rows |= _side_by_side("params", one.variant.get("params", {}), other.variant.get("params", {}))
    rows["seed"] = one.variant.get("seed"), other.variant.get("seed")
    rows["num_parameters"] = one.num_parameters, other.num_parameters
    rows["size_bytes"] = one.size_bytes, other.size_bytes
    rows["formats"] = one.formats, other.formats
    return rows


def comparison_lines(one: ModelVersion, other: ModelVersion) -> list[str]:
    """Returns two versions side by side, `*` before what differs, and what makes their metrics incomparable."""
    head = ("", "", f"{one.name} {one.version}", f"{other.name} {other.version}")
    rows = [
        ("*" if left != right else "", key, number(left), number(right))
        for key, (left, right) in comparison(one, other).items()
    ]
    lines = _table([head, *rows])
    if one.dataset_fingerprint != other.dataset_fingerprint:
        lines.append("the two were trained and tested on different data, so their metrics do not compare")
    return lines


def _side_by_side(prefix: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {f"{prefix}.{name}": (one.get(name), other.get(name)) for name in dict.fromkeys([*one, *other])}


def _row(model: NamedModel, version: ModelVersion) -> tuple[str, ...]:
    return (
        version.name,
        str(version.version),
        ", ".join(model.aliases_of(version.version)),
        version.study,
        version.trial,
        _metrics(version.test_metrics, most=_MOST_METRICS),
        size_in_words(version.size_bytes),
        moment(version.added_at),
    )


def _metrics(metrics: Mapping[str, Any], *, most: int | None = None) -> str:
    # A loss says least to people, so it comes last.
    names = sorted(metrics, key=lambda name: name.endswith("loss"))[:most]
    return ", ".join(f"{name} {number(metrics[name])}" for name in names)


def _output(item: Mapping[str, Any]) -> str:
    classes = item.get("class_names") or []
    what = f" of {', '.join(map(str, classes[:5]))}{', ...' if len(classes) > 5 else ''}" if classes else ""
    return f"{item.get('name')} {item.get('shape')}, {item.get('kind')}{what}"


def _pointed(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    plain = [[cell if cell.isprintable() else one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*plain, strict=True)]
    return [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in plain]
