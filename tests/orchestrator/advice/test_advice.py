"""Each sentence of advice appears when it should, never more than three, none on good runs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_studies import MAJORITY, SHARES, Curve, study_of

from orchestrator.advice.advice import GOOD, MAX_SENTENCES, advise, space_of
from orchestrator.results.image_shares import ImageShares
from orchestrator.results.references import Reference
from orchestrator.runs.paths import RunFolder
from search_spaces import space_from_mapping

FEW = ImageShares(metrics=frozenset({"accuracy"}), images={"validation": 10})
SPACE = space_from_mapping(
    {
        "family": "sequential",
        "params": {
            "learning_rate": {"float": [1e-4, 1e-2], "log": True},
            "filters": {"int": [8, 64]},
            "num_blocks": {"int": [1, 3]},
            "dropout": {"float": [0.0, 0.5]},
        },
    }
)


def said(state, *, shares=SHARES, references=(MAJORITY,), space=None):
    return {item.about: item.text for item in advise(state, shares=shares, references=references, space=space)}


def rising(*ends, training=None, **more):
    """Returns curves that reach their ends well before their last epoch."""
    shapes = (0.6, 0.9, 1.0, 0.995, 0.99, 0.99)
    return [
        Curve(
            validation=[round(end * shape, 3) for shape in shapes],
            training=[] if training is None else [training] * len(shapes),
            **more,
        )
        for end in ends
    ]


#: A study of which nothing is to be said: right enough on both splits, its trials differ.
ORDINARY = rising(0.8, 0.75, 0.7, 0.65, 0.5)


def test_nothing_is_said_of_an_ordinary_study():
    assert said(study_of(ORDINARY), space=SPACE) == {}


def test_study_at_chance_is_told_so_and_nothing_of_its_differences():
    curves = rising(0.12, 0.11, 0.1, 0.1, 0.1, 0.1, 0.1)
    assert said(study_of(curves)) == {
        "chance": "all 7 trials with a result are at chance (the best has val_accuracy 0.12, the majority class 0.1): "
        "check that the labels belong to the images (contact-sheet.png), then try lower learning rates and more epochs"
    }
    # As many images right are no luck once there are more of them.
    many = ImageShares(metrics=frozenset({"accuracy"}), images={"validation": 100_000})
    assert "chance" not in said(study_of(curves), shares=many)
    assert "chance" not in said(study_of(curves), references=[])


def test_study_by_its_loss_is_at_chance_by_its_accuracy():
    state = study_of(rising(0.1, 0.1, 0.1, 0.1), metric="val_loss", mode="min")
    assert "val_accuracy 0.1" in said(state)["chance"]


def test_regression_that_is_no_better_than_the_mean_is_at_chance():
    mean = Reference(name="mean", is_blind=True, metrics={"val_mae": 0.5})
    none = ImageShares(images={"validation": 100})
    state = study_of([Curve(validation=[value] * 3) for value in (0.9, 0.5, 0.7, 0.95)], name="mae", mode="min")
    assert said(state, shares=none, references=[mean])["chance"].startswith("all 4 trials with a result are at chance")
    half = study_of([Curve(validation=[value] * 3) for value in (0.9, 0.45, 0.7, 0.95)], name="mae", mode="min")
    assert "chance" not in said(half, shares=none, references=[mean])


def test_random_labels_that_were_learnt_by_heart_are_chance_and_overfitting():
    assert list(said(study_of(rising(0.1, 0.1, 0.11, 0.1, training=1.0)))) == ["chance", "overfitting"]


@pytest.mark.parametrize(
    ("training", "end", "shares", "is_said"),
    [
        (0.98, 0.6, SHARES, True),
        (0.98, 0.9, SHARES, False),  # validation is right
        (0.8, 0.6, SHARES, False),  # training is not
        (0.88, 0.7, FEW, False),  # ten images cannot tell
    ],
)
def test_training_right_and_validation_wrong_is_overfitting(training, end, shares, is_said):
    curves = [
        Curve(validation=[end - 0.1, end, end - 0.05], training=[training] * 3, params={"filters": 8 * number})
        for number in range(5)
    ]
    found = said(study_of(curves), shares=shares)
    assert ("overfitting" in found) == is_said
    assert not is_said or found["overfitting"] == (
        "training is right and validation is wrong (t0000: accuracy 0.98, val_accuracy 0.6): try data.augment, "
        "dropout, weight_decay or a smaller model; more images help most"
    )


def test_one_of_the_best_that_generalises_is_no_overfitting():
    curves = [*rising(0.6, 0.58, 0.5, training=0.98), *rising(0.59, training=0.65)]
    assert "overfitting" not in said(study_of(curves))


@pytest.mark.parametrize(("training", "is_said"), [(0.45, True), (0.7, False)])
def test_training_wrong_too_is_underfitting(training, is_said):
    found = said(study_of(rising(0.44, 0.4, 0.35, 0.3, training=training)))
    assert ("underfitting" in found) == is_said
    assert not is_said or found["underfitting"] == (
        "training is wrong, too (t0000: accuracy 0.45, val_accuracy 0.436): try other learning rates, more epochs or "
        "smaller batches (more steps), then a larger model"
    ).replace("0.436", "0.44")


def test_underfitting_waits_for_a_blind_guess_that_may_be_no_worse():
    assert said(study_of(rising(0.44, 0.4, 0.35, 0.3)), references=[]) == {}


@pytest.mark.parametrize(
    ("values", "shares", "is_said"),
    [
        ([0.7, 0.6, 0.5, 0.4], SHARES, True),
        ([0.7, 0.69, 0.69, 0.69], SHARES, False),  # luck
        ([0.7, 0.65, 0.6, 0.55], FEW, False),  # luck on so few images
        ([0.7, 0.8, 0.6, 0.4], SHARES, False),
        ([0.7, 0.4], SHARES, False),  # too short
    ],
)
def test_best_value_in_the_first_epoch_asks_for_lower_learning_rates(values, shares, is_said):
    curves = [Curve(validation=[value - 0.05 * number for value in values]) for number in range(4)]
    found = said(study_of(curves), shares=shares)
    assert ("first epoch" in found) == is_said
    assert not is_said or found["first epoch"] == (
        "the best 3 trials that completed have their best val_accuracy in the first epoch and get worse: try lower "
        "learning rates"
    )


@pytest.mark.parametrize(
    ("values", "max_epochs", "is_said"),
    [
        ([0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 6, True),
        ([0.3, 0.75, 0.78, 0.79, 0.79, 0.795], 6, False),  # hardly better any more
        ([0.3, 0.4, 0.5, 0.6, 0.8, 0.7], 6, False),
        ([0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 9, False),  # their patience had ended
    ],
)
def test_best_value_in_the_last_epoch_asks_for_more(values, max_epochs, is_said):
    curves = [Curve(validation=[value - 0.04 * number for value in values]) for number in range(4)]
    found = said(study_of(curves, max_epochs=max_epochs))
    assert ("last epoch" in found) == is_said
    assert not is_said or found["last epoch"] == (
        "the best 3 trials that completed have their best val_accuracy in the last epoch, 6, and were still getting "
        "better: try more (schedule.max_epochs=12)"
    )


def test_trials_that_are_alike_ask_for_something_else_that_varies():
    found = said(study_of(rising(0.7, 0.7, 0.703, 0.7, 0.698, 0.7)))
    assert found["alike"] == (
        "all 6 trials with a result are alike (val_accuracy 0.698 to 0.703): what varies makes no difference; let "
        "something else vary, such as the family, its size or augment_strength"
    )
    assert "alike" not in said(study_of(rising(0.7, 0.7, 0.7, 0.7, 0.7)))  # too few
    assert "alike" not in said(study_of(rising(0.7, 0.7, 0.7, 0.7, 0.7, 0.6)))
    assert "alike" not in said(study_of(rising(0.7, 0.7, 0.7, 0.7, 0.7, 0.7)), shares=FEW)
    one = [Curve(validation=[0.7, 0.7, 0.7], params={"number": 0}) for _ in range(6)]
    assert "alike" not in said(study_of(one))  # nothing but the seed varies


def at_ends(name, *values):
    """Returns curves, best first, with these values of a parameter, of twelve trials; the others lie in the middle."""
    middle = {"learning_rate": 1e-3, "filters": 30, "dropout": 0.25, "num_blocks": 2}
    params = [{**middle, name: value} for value in values] + [middle] * (12 - len(values))
    return [rising(0.8 - 0.02 * rank, params=item)[0] for rank, item in enumerate(params)]


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("learning_rate", (0.01, 0.008, 0.0095), "learning_rate: the best 3 trials are at the upper end 0.01"),
        ("learning_rate", (1e-4, 1.1e-4, 1.5e-4), "learning_rate: the best 3 trials are at the lower end 0.0001"),
        ("filters", (64, 60, 62), "filters: the best 3 trials are at the upper end 64"),
        ("dropout", (0.5, 0.47, 0.46), "dropout: the best 3 trials are at the upper end 0.5"),
        ("learning_rate", (0.01, 0.008), ""),
        ("learning_rate", (0.01, 0.003, 0.0095), ""),
        ("dropout", (0.0, 0.01, 0.02), ""),  # less than nothing is not to be had
        ("num_blocks", (3, 3, 3), ""),
    ],
)
def test_best_values_at_an_end_ask_for_a_wider_range(name, values, text):
    found = said(study_of(at_ends(name, *values)), space=SPACE)
    assert found == ({f"range of {name}": f"{text} of its range; widen it"} if text else {})


def test_end_of_a_range_is_judged_after_ten_trials_of_a_space_that_is_known():
    curves = at_ends("learning_rate", 0.01, 0.01, 0.01)
    assert said(study_of(curves)) == {}
    assert said(study_of(curves[:9]), space=SPACE) == {}
    assert list(said(study_of(curves[:10]), space=SPACE)) == ["range of learning_rate"]


def test_range_of_few_whole_numbers_needs_more_trials_at_its_end():
    space = space_from_mapping({"family": "sequential", "params": {"num_blocks": {"int": [1, 5]}}})
    assert said(study_of(at_ends("num_blocks", 5, 5, 5, 5)), space=space) == {}
    few = space_from_mapping({"family": "sequential", "params": {"num_blocks": {"int": [2, 5]}}})
    assert said(study_of(at_ends("num_blocks", 5, 5, 5, 5, 5)), space=few) == {}  # one of four is no end
    found = said(study_of(at_ends("num_blocks", 5, 5, 5, 5, 5)), space=space)
    assert found["range of num_blocks"] == "num_blocks: the best 5 trials are at the upper end 5 of its range; widen it"


def test_nothing_is_said_of_few_trials_or_before_two_completed():
    curves = rising(0.1, 0.1, 0.1, 0.1)
    assert said(study_of(curves))
    assert said(study_of(curves[:3])) == {}
    stopped = rising(0.1, 0.1, 0.1, 0.1, is_stopped=True)
    assert said(study_of([curves[0], *stopped])) == {}
    assert said(study_of([*curves[:2], *stopped]))


def test_nothing_is_said_of_runs_that_kept_no_numbers_of_images():
    assert said(study_of(rising(0.1, 0.1, 0.1, 0.1)), shares=ImageShares()) == {}
    assert said(study_of([])) == {}


def test_never_more_than_three_and_the_most_important_first():
    params = [{"learning_rate": 0.01, "filters": 64, "dropout": 0.5}] * 6 + [{"learning_rate": 1e-3, "filters": 30}] * 6
    curves = [
        Curve(validation=[0.6, 0.5, 0.4], training=[0.99] * 3, params={"number": number, **item})
        for number, item in enumerate(params)
    ]
    assert list(said(study_of(curves), space=SPACE)) == ["overfitting", "first epoch", "range of learning_rate"]


@st.composite
def studies(draw, *, least=0.0, most=1.0):
    share = st.integers(int(1000 * least), int(1000 * most)).map(lambda hits: hits / 1000)
    learning_rate, filters = st.floats(1e-4, 1e-2), st.integers(8, 64)
    curves = []
    for _ in range(draw(st.integers(0, 14))):
        length = draw(st.integers(1, 5))
        values = draw(st.lists(st.tuples(share, share), min_size=length, max_size=length))
        params = {"learning_rate": draw(learning_rate), "filters": draw(filters)}
        curves.append(
            Curve(
                validation=[value for value, _ in values],
                training=[value for _, value in values],
                params=params,
                is_stopped=draw(st.booleans()),
            )
        )
    return study_of(curves, max_epochs=5)


@given(state=studies(), has_rows=st.booleans())
def test_any_study_gets_at_most_three_sentences_each_about_something_else(state, has_rows):
    found = advise(state, shares=SHARES, references=[MAJORITY] if has_rows else [], space=SPACE)
    assert len(found) <= MAX_SENTENCES
    assert len({item.about for item in found}) == len(found)
    assert all(item.text and "\n" not in item.text for item in found)


@given(state=studies(least=1 - GOOD * 0.9))
def test_good_study_gets_none(state):
    assert said(state, space=SPACE) == {}


def decent_study(seed):
    """Returns a study of twelve trials that learn, in which no parameter matters but by luck."""
    generator = random.Random(seed)
    curves = []
    for _ in range(12):
        end, rate = generator.gauss(0.78, 0.05), generator.uniform(0.3, 0.6)
        values = [end * (1 - rate * 0.4**epoch) + generator.gauss(0, 0.008) for epoch in range(9)]
        params = {
            "learning_rate": 10 ** generator.uniform(-4, -2),
            "filters": generator.randint(8, 64),
            "dropout": generator.uniform(0, 0.5),
        }
        validation = [round(min(1.0, max(0.0, value)), 3) for value in values]
        training = [min(1.0, value + 0.05) for value in validation]
        is_stopped = generator.random() < 0.4
        kept = generator.randint(1, 4) if is_stopped else 9
        curves.append(
            Curve(validation=validation[:kept], training=training[:kept], params=params, is_stopped=is_stopped)
        )
    return study_of(curves, max_epochs=9)


def test_decent_studies_whose_trials_differ_by_luck_seldom_get_any():
    talkative = [seed for seed in range(200) if said(decent_study(seed), space=SPACE)]
    # The ends of three ranges: five ends that can be widened, each by accident in a thousandth of all studies.
    assert len(talkative) <= 4


def test_the_space_is_the_one_that_the_study_file_has_now(tmp_path):
    folder, sizes = RunFolder(tmp_path), []
    assert space_of(folder) is None
    for filters in ("[8, 16]", "[8, 16, 32]", "[8", "[8, 16]"):
        folder.study.write_text(f"space: {{family: sequential, params: {{filters: {{choice: {filters}}}}}}}")
        found = space_of(folder)
        sizes.append(found and found.size)
    assert sizes == [2, 3, None, 2]
