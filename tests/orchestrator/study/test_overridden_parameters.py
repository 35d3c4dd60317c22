"""Parameters that another one takes the place of: a study that varies both is refused, with the way out."""

from pathlib import Path

import pytest
import yaml

from orchestrator.errors import StudyFileError
from orchestrator.study.loading import parse_study
from orchestrator.study.spec import StudySpec


def study(space: str) -> StudySpec:
    return parse_study(yaml.safe_load(f"{{name: s, data: {{source: digits}}, space: {space}}}"), base=Path())


REFUSED = [
    (
        "{family: residual, params: {preset: resnet20, filters: 8}}",
        "space.params.filters: family 'residual' ignores it where preset is 'resnet20', got both; drop one of the two",
    ),
    (
        "{family: residual, params: {preset: {choice: [none, resnet32]}, num_stages: {int: [1, 3]}}}",
        "space.params.num_stages: family 'residual' ignores it where preset is 'resnet32', got both; "
        "add when: {preset: none}, or drop one of the two",
    ),
    (
        "{family: {choice: [sequential, residual]}, params: {filters: 8, "
        "preset: {choice: [none, resnet20], when: {family: residual}}}}",
        "space.params.filters: family 'residual' ignores it where preset is 'resnet20', got both; "
        "add when: {family: [sequential]}, or drop one of the two",
    ),
    (
        "{family: functional, params: {branches: 2, branch_kernels: [1, 3]}}",
        "space.params.branches: family 'functional' ignores it where branch_kernels is [1, 3], got both; "
        "drop one of the two",
    ),
]

ACCEPTED = [
    "{family: residual, params: {preset: resnet20, squeeze_excite: 8, activation: elu}}",
    "{family: residual, params: {preset: none, filters: 8}}",
    "{family: residual, params: {preset: {choice: [none, resnet20]}, filters: {fixed: 8, when: {preset: none}}}}",
    # The parameter and the preset are never active at once.
    "{family: residual, params: {batch_norm: {choice: [true, false]}, filters: {fixed: 8, when: {batch_norm: true}}, "
    "preset: {fixed: resnet20, when: {batch_norm: false}}}}",
    "{family: {choice: [sequential, residual]}, params: {filters: {fixed: 8, when: {family: sequential}}, "
    "preset: {fixed: resnet20, when: {family: residual}}}}",
    "{family: functional, params: {branches: 2, branch_kernels: []}}",
    "{family: functional, params: {branch_kernels: {choice: [[1, 3], [3, 3, 5]]}}}",
]


@pytest.mark.parametrize(("space", "words"), REFUSED)
def test_a_parameter_that_has_no_say_is_refused_with_the_way_out(space: str, words: str) -> None:
    with pytest.raises(StudyFileError) as refused:
        study(space)
    assert str(refused.value) == f"study: {words}"


@pytest.mark.parametrize("space", ACCEPTED)
def test_a_parameter_that_always_has_its_say_is_accepted(space: str) -> None:
    assert study(space).space.names


def test_a_list_a_block_reaches_the_space_as_a_tuple() -> None:
    space = study("{family: sequential, params: {filters: [8, 16], kernel_size: {choice: [3, [5, 3]]}}}").space
    assert space.parameter("filters").domain.values() == [(8, 16)]
    assert space.parameter("kernel_size").domain.values() == [3, (5, 3)]
