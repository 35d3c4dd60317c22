"""ImageNet weights are fetched by a child process, or the way out is told; nothing here reaches a network."""

import pytest

from trainables.catalog.backbones import PretrainedBackbone
from trainables.errors import DataError
from trainables.families.parts.downloads import keras_models
from trainables.worker.fetch_weights import fetch_in_process


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty cache of Keras's, and a proxy that nobody serves."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "models"


def test_weights_that_cannot_be_fetched_are_told_with_file_origin_and_ways_out(offline):
    news = []
    with pytest.raises(DataError) as told:
        fetch_in_process(
            [PretrainedBackbone(name="MobileNetV2", alpha=0.35, side=96)], on_progress=lambda *item: news.append(item)
        )
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
    text = str(told.value)
    assert text.startswith(
        f"weights: 'imagenet' for backbone MobileNetV2 needs the file {name}, which is not on this machine and cannot "
        f"be fetched from https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/{name} ("
    )
    assert text.endswith(
        f"; fetch it elsewhere and place it at {offline / name}, or give a file of the backbone's weights "
        "(weights: path/to/file.weights.h5), or use weights: none"
    )
    assert news == [("fetching pretrained weights of MobileNetV2", 0, 1)]
    assert keras_models() == offline


def test_nothing_wanted_starts_no_process(monkeypatch):
    monkeypatch.setattr("trainables.worker.fetch_weights.ask_child", None)
    fetch_in_process([])


def test_weights_placed_by_hand_are_found_without_a_network(offline, one_thread):
    import keras

    offline.mkdir()
    donor = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25)
    donor.save(offline / "mobilenet_2_5_224_tf_no_top.h5")
    fetch_in_process([PretrainedBackbone(name="MobileNet", alpha=0.25, side=32)])


def test_keras_has_its_own_downloads_back_afterwards(one_thread):
    import sys

    import keras

    from trainables.families.parts.downloads import explained_downloads

    owner = sys.modules[keras.utils.get_file.__module__]
    original = owner.get_file
    with explained_downloads("MobileNet"):
        assert owner.get_file is not original
    assert owner.get_file is original
