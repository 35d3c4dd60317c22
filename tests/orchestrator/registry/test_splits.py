"""Versions that share an alias: equal keys get equal versions, shares hold, and no key moves without need."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from made_exports import write_export

from orchestrator.errors import RegistryError
from orchestrator.registry.registry import Registry
from orchestrator.registry.state import version_for

KEYS = [f"user {number}" for number in range(20_000)]
#: Of the first keys, with shares of 0.5, 0.3 and 0.2.
FIRST_ANSWERS = [2, 1, 1, 1, 3, 3, 3, 1, 2, 3, 1, 2, 2, 2, 1, 3]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Four versions of digits, of which the third is in production and the first one the candidate."""
    registry, export = Registry(tmp_path / "registry"), write_export(tmp_path / "export")
    for alias in ("candidate", None, "production", None):
        registry.add(export, name="digits", alias=alias)
    return registry


def drawn_shares(generator: random.Random, *, count: int) -> dict[int, float]:
    sizes = [generator.uniform(0.02, 1) for _ in range(count)]
    return {version: size / sum(sizes) for version, size in enumerate(sizes, start=1)}


@pytest.mark.parametrize("shares", [{1: 0.5, 2: 0.5}, {3: 0.9, 7: 0.1}, {1: 0.01, 2: 0.29, 9: 0.7}])
def test_each_version_gets_its_share_of_keys(shares: Mapping[int, float]) -> None:
    counts = Counter(version_for(key, name="digits", of=shares) for key in KEYS)
    for version, share in shares.items():
        assert abs(counts[version] - share * len(KEYS)) < 5 * math.sqrt(len(KEYS) * share * (1 - share))


def test_keys_keep_their_versions_wherever_and_whenever_they_ask() -> None:
    # As this was first written; another answer would give users of running experiments another version.
    found = [version_for(key, name="digits", of={1: 0.5, 2: 0.3, 3: 0.2}) for key in KEYS[:16]]
    assert found == FIRST_ANSWERS
    assert version_for("\u00fc\udcff", name="digits", of={1: 0.5, 2: 0.5}) in (1, 2)


@pytest.mark.parametrize("seed", range(8))
def test_where_shares_change_keys_move_to_versions_that_gain_and_from_those_that_lose(seed: int) -> None:
    generator = random.Random(seed)
    count = generator.randint(2, 5)
    before, after = (drawn_shares(generator, count=count) for _ in range(2))
    moves = Counter(
        (version_for(key, name="m", of=before), version_for(key, name="m", of=after)) for key in KEYS[:4000]
    )
    gains = {version: after[version] / before[version] for version in before}
    assert all(gains[there] > gains[here] for here, there in moves if here != there)
    # A new version takes from the others, and nothing moves between these.
    joined = {**{version: share * 0.8 for version, share in after.items()}, 99: 0.2}
    pairs = {(version_for(key, name="m", of=after), version_for(key, name="m", of=joined)) for key in KEYS[:4000]}
    assert {there for here, there in pairs if here != there} == {99}


def test_of_two_versions_no_more_keys_move_than_the_shares_differ() -> None:
    before, after = {1: 0.9, 2: 0.1}, {1: 0.7, 2: 0.3}
    moved = sum(version_for(key, name="m", of=before) != version_for(key, name="m", of=after) for key in KEYS)
    assert abs(moved - 0.2 * len(KEYS)) < 5 * math.sqrt(0.16 * len(KEYS))


def test_another_model_splits_its_keys_otherwise() -> None:
    both = Counter(
        tuple(version_for(key, name=name, of={1: 0.5, 2: 0.5}) for name in ("digits", "dogs")) for key in KEYS
    )
    assert len(both) == 4
    assert all(abs(count - len(KEYS) / 4) < 5 * math.sqrt(len(KEYS) * 3 / 16) for count in both.values())


def test_a_split_shares_who_asks_by_a_key_and_leaves_the_alias_where_it_is(registry: Registry) -> None:
    shares = {3: 0.75, 4: 0.25}
    assert registry.promote("digits", shares).version == 3
    model = Registry(registry.path).model("digits")
    assert (model.splits, model.aliases) == ({"production": shares}, {"candidate": 1, "production": 3})
    assert model.pointed_to("production").version == 3
    for key in KEYS[:50]:
        assert model.pointed_to("production", key=key).version == version_for(key, name="digits", of=shares)
        assert model.pointed_to("candidate", key=key).version == 1
    num_entries = model.num_entries
    registry.promote("digits", dict(reversed(shares.items())))
    assert registry.model("digits").num_entries == num_entries
    assert [move.how for move in model.moves["production"]] == ["add", "split"]


@pytest.mark.parametrize(
    "end",
    [
        lambda registry: registry.promote("digits", {}),
        lambda registry: registry.promote("digits", 4),
        lambda registry: registry.promote("digits", 3),
        lambda registry: registry.remove("digits", 4, force=True),
        lambda registry: registry.remove("digits", 3, force=True),
    ],
)
def test_a_split_ends_as_the_alias_moves_and_as_a_version_of_it_goes(registry: Registry, end: Any) -> None:
    registry.promote("digits", {3: 0.75, 4: 0.25})
    end(registry)
    assert registry.model("digits").splits == {}


def test_a_rollback_ends_a_split_and_others_go_on(registry: Registry) -> None:
    registry.promote("digits", 4)
    registry.promote("digits", {4: 0.5, 2: 0.5})
    registry.promote("digits", {1: 0.5, 4: 0.5}, to="candidate")
    assert registry.rollback("digits").version == 3
    assert registry.model("digits").splits == {"candidate": {1: 0.5, 4: 0.5}}


@pytest.mark.parametrize(
    ("shares", "alias", "message"),
    [
        ({3: 0.5, 9: 0.5}, "production", "version 9 does not exist; versions: 1, 2, 3, 4"),
        (
            {2: 0.5, 4: 0.5},
            "production",
            "needs version 3, to which it points, and at least one other; got 2=0.5 4=0.5",
        ),
        ({3: 1.0}, "production", "at least one other; got 3=1"),
        ({3: 0.5, 4: 0.4}, "production", "must be above 0 and 1 in sum, got 3=0.5 4=0.4; for example 3=0.9"),
        ({3: 1.5, 4: -0.5}, "production", "must be above 0 and 1 in sum"),
        ({3: math.nan, 4: 0.5}, "production", "must be above 0 and 1 in sum"),
        ({3: 0.5, 4: 0.5}, "staging", "no version has the alias 'staging'; aliases: candidate, production"),
        ({}, "staging", "no version has the alias 'staging'"),
    ],
)
def test_what_is_no_split_is_refused_and_changes_nothing(
    registry: Registry, shares: dict[int, float], alias: str, message: str
) -> None:
    with pytest.raises(RegistryError) as caught:
        registry.promote("digits", shares, to=alias)
    assert message in str(caught.value)
    assert registry.model("digits").splits == {}


def test_a_version_that_has_a_share_is_not_removed_without_force(registry: Registry) -> None:
    registry.promote("digits", {3: 0.5, 4: 0.5})
    with pytest.raises(
        RegistryError, match="version 4 has a share of production; end that with `convfleet registry split"
    ):
        registry.remove("digits", 4)
    assert list(registry.model("digits").versions) == [1, 2, 3, 4]


def test_shares_may_differ_from_one_by_rounding_alone(registry: Registry) -> None:
    thirds = {1: 1 / 3, 3: 1 / 3, 4: 1 / 3}
    registry.promote("digits", thirds)
    assert registry.model("digits").splits == {"production": thirds}
    for size in itertools.islice((0.3334, 0.333), 2):
        with pytest.raises(RegistryError, match="1 in sum"):
            registry.promote("digits", dict.fromkeys((1, 3, 4), size))
