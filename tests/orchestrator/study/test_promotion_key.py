"""A study file whose trials may wait is refused where none could."""

from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.study.loading import load_study
from orchestrator.study.spec import StudySpec

STUDY = """
name: s
data: {source: digits}
space: {family: sequential, params: {filters: {choice: [4, 8]}}}
search: {algorithm: random, trials: 2}
schedule: {algorithm: asha, max_epochs: 9, grace_epochs: 1}
"""


def load(folder: Path, *overrides: str) -> StudySpec:
    path = folder / "s.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return load_study(path, overrides=overrides)


CASES = [
    (
        ("schedule.promotion=true", "schedule.algorithm=median"),
        "schedule.promotion: trials wait at rungs with algorithm asha alone, got true with 'median'; say algorithm: "
        "asha, or promotion: false",
    ),
    (
        ("schedule.promotion=true", "schedule.grace_epochs=9"),
        "schedule.grace_epochs: must be less than max_epochs (9) with promotion: true, as no trial waits at its last "
        "epoch, got 9; lower it, raise max_epochs, or say promotion: false",
    ),
    (("schedule.promotion=3",), "schedule.promotion: "),
]


@pytest.mark.parametrize(("overrides", "words"), CASES)
def test_promotion_without_waiting_is_refused_with_place_value_and_fix(
    tmp_path: Path, overrides: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InputError) as found:
        load(tmp_path, *overrides)
    assert words in str(found.value)


def test_study_without_promotion_keeps_its_id(tmp_path: Path) -> None:
    plain, said = load(tmp_path), load(tmp_path, "schedule.promotion=false")
    assert plain.study_id == said.study_id
    assert plain.study_id != load(tmp_path, "schedule.promotion=true").study_id
