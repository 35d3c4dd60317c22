"""A node decodes equal data once, and never trusts half an entry."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest

from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import cache_folder, prepare_dataset
from trainables.errors import DataError
from trainables.specs.data import DataSpec
from trainables.specs.dataset import DatasetInfo
from trainables.specs.pixels import PixelRule, PixelStatistics
from trainables.specs.task import Task

ROOT = Path(__file__).resolve().parents[4]


def test_copied_file_finds_the_same_entry_and_is_not_decoded_again(npz, tmp_path, prepare):
    first = prepare(source="npz", path=str(npz)).info
    manifest = Path(first.folder) / "manifest.json"
    before = manifest.stat().st_mtime_ns
    shutil.copy(npz, tmp_path / "b.npz")
    stages = []
    again = prepare(source="npz", path=str(tmp_path / "b.npz"), progress=lambda stage, *_: stages.append(stage)).info
    assert again == first
    assert manifest.stat().st_mtime_ns == before
    assert not any("decoding" in stage for stage in stages)


def test_one_changed_byte_gives_another_entry(npz, tmp_path, made, prepare):
    first = prepare(source="npz", path=str(npz)).info
    changed = made.pictures(60)
    changed[0, 0, 0, 0] ^= 1
    np.savez(npz, x=changed, y=np.arange(60) % 3)
    again = prepare(source="npz", path=str(npz)).info
    assert again.key != first.key
    assert again.fingerprint != first.fingerprint


@pytest.mark.parametrize(
    "fields",
    [{"limit": 30}, {"image_size": (4, 4)}, {"channels": 1}, {"pixel_range": (0, 99)}, {"background": "white"}],
)
def test_other_decoding_settings_give_another_entry(fields, npz, prepare):
    path = str(npz)
    assert prepare(source="npz", path=path, **fields).info.key != prepare(source="npz", path=path).info.key


def test_another_version_of_a_decoder_decodes_anew_and_keeps_the_fingerprint_of_equal_pixels(npz, prepare, monkeypatch):
    first = prepare(source="npz", path=str(npz)).info
    assert first.decoders["pillow"] == PIL.__version__
    assert "libjpeg-turbo" in first.decoders
    monkeypatch.setattr("trainables.data.cache.prepare.decoders", lambda: {**first.decoders, "libjpeg-turbo": "9"})
    again = prepare(source="npz", path=str(npz)).info
    assert again.key != first.key
    assert again.fingerprint == first.fingerprint


def test_seeds_and_fractions_share_one_decoding(npz, tmp_path, prepare, entries):
    path = str(npz)
    infos = [
        prepare(source="npz", path=path, seed=1).info,
        prepare(source="npz", path=path, seed=2).info,
        prepare(source="npz", path=path, seed=1, validation_fraction=0.3).info,
        prepare(source="npz", path=path, seed=1, augment={"flip": "both"}).info,
    ]
    assert entries() == [infos[0].key]
    assert len({info.key for info in infos}) == 1
    assert infos[3] == infos[0]
    assert len({info.split_key for info in infos[:3]}) == len({info.fingerprint for info in infos[:3]}) == 3


def test_seed_changes_nothing_where_the_source_brings_all_splits(tmp_path, made, prepare):
    y = np.arange(9) % 3
    x, x_test, x_val = (made.pictures(9, seed=seed) for seed in range(3))
    np.savez(tmp_path / "a.npz", x=x, y=y, x_test=x_test, y_test=y, x_val=x_val, y_val=y)
    infos = [prepare(source="npz", path=str(tmp_path / "a.npz"), seed=seed).info for seed in (1, 2)]
    assert infos[0] == infos[1]


def test_equal_pixels_from_other_sources_have_the_same_fingerprint(npz, tmp_path, made, prepare):
    images = [made.encoded(image) for image in made.pictures(60)]
    path = made.write_parquet(tmp_path / "a.parquet", images=images, labels=np.arange(60) % 3)
    one = prepare(source="npz", path=str(npz)).info
    other = prepare(source="parquet", train=str(path)).info
    assert one.fingerprint == other.fingerprint
    assert one.key != other.key


def test_renamed_class_folder_gives_another_entry_and_a_moved_root_does_not(tmp_path, made, prepare):
    root = made.write_folders(tmp_path / "photos")
    first = prepare(source="images", path=str(root)).info
    root = root.rename(tmp_path / "moved")
    assert prepare(source="images", path=str(root)).info == first
    (root / "cat").rename(root / "bat")
    assert prepare(source="images", path=str(root)).info.key != first.key


def test_function_decides_by_what_it_returns(tmp_path, prepare):
    (tmp_path / "changing.py").write_text(
        "import json, pathlib, numpy as np\n"
        "def load():\n"
        "    value = json.loads((pathlib.Path(__file__).parent / 'value.json').read_text())\n"
        "    return value + np.arange(108, dtype=np.uint8).reshape(12, 3, 3), np.arange(12) % 2\n"
    )
    fields = {"source": "python", "function": "changing:load", "function_dir": str(tmp_path)}
    keys = []
    for value in (1, 1, 2):
        (tmp_path / "value.json").write_text(json.dumps(value))
        keys.append(prepare(**fields).info.key)
    assert keys[0] == keys[1] != keys[2]


def test_info_survives_json():
    info = DatasetInfo(
        key="k", split_key="s", folder="/f", task=Task.classification(input_shape=(1, 2, 3), num_classes=2),
        statistics=PixelStatistics(means=(1.0, 2.0, 3.0), deviations=(4.0, 5.0, 6.0)),
        num_train=1, num_validation=2, num_test=3, fingerprint="p", decoders={"pillow": "13"},
        pixel_rule=PixelRule(byte=(0, 1), wide=(-5, 9), cuts=("wide",), ground=(1, 2, 3)),
    )  # fmt: skip
    assert DatasetInfo.from_json(json.loads(json.dumps(info.to_json()))) == info


@pytest.mark.parametrize(
    ("storage", "name"),
    [
        ("decoded", "train_images.npy"),
        ("decoded", "train_labels_label.npy"),
        ("decoded", "manifest.json"),
        ("decoded", "splits"),
        ("encoded", "train_bytes.npy"),
        ("encoded", "train_offsets.npy"),
        ("encoded", "manifest.json"),
    ],
)
@pytest.mark.parametrize("damage", ["torn", "missing"])
def test_damaged_entry_is_refused_and_rebuilt(storage, name, damage, fields_of, prepare):
    rows = np.arange(60)
    first = prepare(**fields_of(storage))
    images = np.array(first.train.images[rows])
    path = Path(first.info.folder) / name
    if name == "splits":
        path = path / first.info.split_key / "train_indices.npy"
    if damage == "torn":
        os.truncate(path, path.stat().st_size - 3)
    else:
        path.unlink()
    with pytest.raises(DataError, match=r"is damaged: .*; prepare the data again, which rebuilds it"):
        open_dataset(first.info)
    again = prepare(**fields_of(storage))
    assert again.info == first.info
    assert np.array_equal(again.train.images[rows], images)


@pytest.mark.parametrize(("storage", "name"), [("decoded", "train_images.npy"), ("encoded", "train_bytes.npy")])
def test_changed_content_of_equal_size_is_found_on_verify(storage, name, fields_of, tmp_path):
    spec = DataSpec(**fields_of(storage), cache_dir=str(tmp_path / "cache"))
    info = prepare_dataset(spec, 0)
    with (Path(info.folder) / name).open("r+b") as file:
        file.seek(500)
        byte = file.read(1)[0]
        file.seek(500)
        file.write(bytes([byte ^ 1]))
    open_dataset(info)
    with pytest.raises(DataError, match=rf"the content of {name} has changed"):
        open_dataset(info, verify=True)
    open_dataset(prepare_dataset(spec, 0, verify=True), verify=True)


@pytest.mark.parametrize("folder", ["entry", "splits"])
def test_another_number_in_a_manifest_is_found_and_the_folder_made_anew(folder, npz, prepare):
    first = prepare(source="npz", path=str(npz))
    place = Path(first.info.folder)
    manifest = (place if folder == "entry" else place / "splits" / first.info.split_key) / "manifest.json"
    content = json.loads(manifest.read_text())
    if folder == "entry":
        content["targets"][0]["class_names"][0] = "7"
    else:
        content["statistics"]["means"][0] += 1
    manifest.write_text(json.dumps(content))
    with pytest.raises(DataError, match="its manifest has changed"):
        open_dataset(first.info)
    assert prepare(source="npz", path=str(npz)).info == first.info


def test_cache_is_its_owners_alone_unless_it_was_made_for_several(npz, tmp_path):
    for name, expected in (("own", 0o700), ("shared", 0o777)):
        cache = tmp_path / name
        if name == "shared":
            cache.mkdir()
            cache.chmod(0o777)
        umask = os.umask(0o077)
        try:
            info = prepare_dataset(DataSpec(source="npz", path=str(npz), cache_dir=str(cache)), 0)
        finally:
            os.umask(umask)
        assert cache.stat().st_mode & 0o777 == expected
        # Who may enter the cache may read what is in it, whoever built it.
        inside = [path for path in Path(info.folder).rglob("*") if path.is_file()]
        assert {path.stat().st_mode & 0o777 for path in inside} == {0o644}


def test_rebuilding_leaves_open_arrays_alone(npz, prepare):
    data = prepare(source="npz", path=str(npz))
    images = np.array(data.train.images)
    (Path(data.info.folder) / "train_labels_label.npy").unlink()
    prepare(source="npz", path=str(npz))
    assert np.array_equal(data.train.images, images)


def mapped_memory(path):
    """Sums the kernel's accounts, in kB, of this process's maps of one file."""
    totals, inside = {}, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if "-" in name.split(" ")[0] and not name[0].isupper():
            inside = line.endswith(str(path))
        elif inside and rest.endswith("kB"):
            totals[name] = totals.get(name, 0) + int(rest.split()[0])
    return totals


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
def test_opening_twice_shares_the_files_pages(tmp_path, made, prepare):
    np.savez(tmp_path / "big.npz", x=made.pictures(4000, height=32, width=32), y=np.arange(4000) % 2)
    first = prepare(source="npz", path=str(tmp_path / "big.npz"))
    second = open_dataset(first.info)
    for data in (first, second):
        assert isinstance(data.train.images, np.memmap)
        assert data.train.images.ctypes.data % 64 == 0  # what TensorFlow's kernels need
        assert int(data.train.images.sum()) > 0
    memory = mapped_memory(Path(first.info.folder) / "train_images.npy")
    assert memory["Size"] >= 2 * 12_000
    assert memory["Private_Dirty"] == 0
    assert memory["Anonymous"] == 0
    assert memory["Pss"] <= 13_000  # both maps together hold one copy of the file's 12,288 kB


def test_writing_into_an_open_array_does_not_reach_the_file(npz, prepare):
    data = prepare(source="npz", path=str(npz))
    before = int(data.train.images[0, 0, 0, 0])
    data.train.images[0, 0, 0, 0] = before ^ 255
    assert int(open_dataset(data.info).train.images[0, 0, 0, 0]) == before


def test_failed_build_leaves_no_folder_and_a_mended_file_works(tmp_path, made, prepare, entries):
    x = made.pictures(6)
    np.savez(tmp_path / "a.npz", x=x, y=np.zeros(6))
    with pytest.raises(DataError, match="at least two classes"):
        prepare(source="npz", path=str(tmp_path / "a.npz"))
    assert entries() == []
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(6) % 2)
    prepare(source="npz", path=str(tmp_path / "a.npz"))


def test_cache_that_cannot_be_written_is_told_with_the_fix(npz, tmp_path):
    (tmp_path / "file").write_text("in the way")
    spec = DataSpec(source="npz", path=str(npz), cache_dir=str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match=r"data.cache_dir: cannot write to .*: Not a directory; set data.cache_dir or"):
        prepare_dataset(spec, 0)


@pytest.mark.parametrize("storage", ["decoded", "encoded"])
def test_disk_that_fills_up_while_decoding_is_told(storage, fields_of, tmp_path, entries):
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
    script = limited + (
        "import json, sys\n"
        "from trainables.data.cache.prepare import prepare_dataset\n"
        "from trainables.errors import DataError\n"
        "from trainables.specs.data import DataSpec\n"
        "try:\n"
        "    prepare_dataset(DataSpec(**json.loads(sys.argv[1]), cache_dir=sys.argv[2]), 0)\n"
        "except DataError as exc:\n"
        "    print(exc)\n"
    )
    command = [sys.executable, "-c", script, json.dumps(fields_of(storage)), str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert "data.cache_dir: cannot write to" in said
    assert "the disk is full; set data.cache_dir or the environment's CONVFLEET_CACHE" in said
    assert entries() == []


@pytest.mark.parametrize("storage", ["decoded", "encoded"])
def test_disk_without_room_is_told_before_decoding(storage, fields_of, prepare, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    message = rf"the {storage} images need 0 MB, but .* has only 0 MB free; set data.cache_dir"
    with pytest.raises(DataError, match=message):
        prepare(**fields_of(storage))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"CONVFLEET_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/convfleet"),
        ({"HOME": "/c"}, "/c/.cache/convfleet"),
    ],
)
def test_cache_lies_where_the_environment_says(environment, expected, monkeypatch):
    for name in ("CONVFLEET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_folder(DataSpec(source="digits")) == Path(expected)
    assert cache_folder(DataSpec(source="digits", cache_dir="/d")) == Path("/d")
