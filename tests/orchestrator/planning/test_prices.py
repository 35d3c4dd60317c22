"""What trials cost: as measured where it was, else by a fit that is never negative."""

from typing import Any

import pytest

from orchestrator.planning.fitting import non_negative_fit, weighed
from orchestrator.planning.prices import prices_of
from search_spaces import Variant
from trainables.worker.cost_measures import evened, evenly_spread
from trainables.worker.cost_probe import MeasuredVariant, Probe, ProbedVariant, loads_of

IMAGES = 640, 256


def variants(count: int) -> list[Variant]:
    return [Variant(family="sequential", params={"batch_size": 64, "filters": n + 1}, seed=1) for n in range(count)]


def probed(number: int) -> ProbedVariant:
    cost = {"parameters": 10.0, "multiply_adds": 1e6 * 4**number, "memory_mb": 1.0 + number}
    return ProbedVariant(cost=cost, num_arrays=10 + 2 * number, state_bytes=80, build_seconds=0.5)


def measured(number: int, **fields: Any) -> MeasuredVariant:
    calls, work = loads_of(probed(number), num_images=IMAGES[0], batch_size=64)
    given = {
        "train_seconds": 1e-4 * calls + 3 * work,
        "validate_seconds": 0.5,
        "start_seconds": 2.0,
        "unrest": 0.1,
        "cpu_share": 0.5,
        "num_steps": 10,
        "is_reusable": True,
    }
    return MeasuredVariant(number=number, **{**given, **fields})


def prices(probe: Probe, *, repeats: int = 1):  # type: ignore[no-untyped-def]
    return prices_of(variants(len(probe.variants)), probe, num_images=IMAGES, repeats=repeats)


def test_a_fit_finds_the_factors_that_made_the_numbers() -> None:
    rows = [[1.0, 8.0], [2.0, 3.0], [5.0, 5.0]]
    assert non_negative_fit(rows, [weighed([0.5, 2.0], row) for row in rows]) == pytest.approx([0.5, 2.0])


def test_no_factor_is_negative_and_nothing_is_fitted_worse_than_by_one_column_alone() -> None:
    rows, targets = [[1.0, 1.0], [1.0, 2.0], [1.0, 4.0]], [9.0, 5.0, 1.0]
    factors = non_negative_fit(rows, targets)
    assert factors[0] > 0
    assert factors[1] == 0.0


def test_measured_seconds_are_kept_and_the_others_follow_from_them() -> None:
    probe = Probe(import_seconds=4.0, variants=tuple(map(probed, range(4))), measured=(measured(0), measured(3)))
    found = prices(probe).of_variants
    truth = [measured(number).train_seconds for number in range(4)]
    assert [price.train_seconds for price in found] == pytest.approx(truth)
    odd = Probe(import_seconds=4.0, variants=probe.variants, measured=(measured(0), measured(3, train_seconds=99.0)))
    assert prices(odd).of_variants[3].train_seconds == 99.0


def test_an_epoch_trains_and_validates_every_split() -> None:
    probe = Probe(import_seconds=4.0, variants=(probed(0),), measured=(measured(0),))
    once, thrice = (prices(probe, repeats=repeats).of_variants[0] for repeats in (1, 3))
    assert thrice.train_seconds == pytest.approx(3 * once.train_seconds)
    assert thrice.other_seconds - once.other_seconds == pytest.approx(2 * 0.5)
    assert thrice.start_seconds == once.start_seconds == 2.0


def test_what_cannot_be_trained_costs_the_seconds_of_finding_out() -> None:
    wrong = ProbedVariant(problem="too deep", is_infeasible=True, build_seconds=0.25)
    found = prices(Probe(import_seconds=4.0, variants=(probed(0), wrong), measured=(measured(0),))).of_variants[1]
    assert (found.problem, found.start_seconds, found.epoch_seconds) == ("too deep", 0.25, 0.0)


def test_architectures_are_met_again_only_where_every_measured_one_can_be() -> None:
    variants_, one = (probed(0), probed(1)), measured(0)
    both = Probe(import_seconds=4.0, variants=variants_, measured=(one, measured(1)))
    assert prices(both).is_reusable
    own = measured(1, unrest=0.3, is_reusable=False)
    mixed = prices(Probe(import_seconds=4.0, variants=variants_, measured=(one, own)))
    assert not mixed.is_reusable
    assert mixed.unrest == pytest.approx(0.2)


def test_a_probe_without_a_measured_variant_has_no_prices() -> None:
    with pytest.raises(ValueError, match="no variant was measured"):
        prices(Probe(import_seconds=4.0, variants=(probed(0),), measured=()))


def test_measured_variants_lie_between_the_cheapest_and_the_dearest() -> None:
    seconds = {number: float(number % 7) for number in range(21)}
    chosen = evenly_spread(seconds, count=5)
    found = [seconds[number] for number in chosen]
    assert found == sorted(found)
    assert (found[0], found[-1], len(set(chosen))) == (0.0, 6.0, 5)


def test_a_variant_that_was_measured_while_the_machine_was_free_counts_as_slower() -> None:
    lucky = measured(0, train_seconds=3.0, cpu_share=0.8)
    even = evened(lucky, cpu_share=0.4)
    assert (even.train_seconds, even.validate_seconds, even.start_seconds) == (6.0, 1.0, 4.0)
    assert evened(even, cpu_share=0.4) == even


def test_a_probe_is_the_same_after_its_way_from_the_child() -> None:
    probe = Probe(import_seconds=4.0, variants=(probed(0),), measured=(measured(0),))
    assert Probe.from_json(probe.to_json()) == probe
