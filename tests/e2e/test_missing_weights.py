"""Pretrained weights that are not there end a study before its first trial, with the way out."""

import pytest

pytestmark = pytest.mark.slow


def test_imagenet_weights_that_cannot_be_fetched_are_an_input_error_and_leave_no_run_behind(convfleet):
    dead = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9") | {"no_proxy": "localhost,127.0.0.1"}
    convfleet.environment |= dead | {"KERAS_HOME": str(convfleet.folder / "keras")}
    said = convfleet.run(
        "run", "transfer", "--set", "space.params.weights=imagenet", "--set", "space.params.alpha=1.0", code=2
    )
    (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: weights: 'imagenet' for backbone MobileNetV3Small ")
    assert "cannot be fetched from https://storage.googleapis.com/" in error
    assert "or give a file of the backbone's weights (weights: path/to/file.weights.h5)" in error
    assert "started" not in said
    assert not list((convfleet.folder / "runs").glob("*"))
