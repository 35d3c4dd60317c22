"""Slices of DICOM become the numbers that they mean, by one range for all splits, or are refused in words."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from trainables.data.formats.refusals import PictureError
from trainables.data.formats.samples import read_header, read_samples
from trainables.data.images.decode import Encoded
from trainables.errors import DataError


def dicom(pixels, *, kind="MONOCHROME2", stored=None, slope=None, intercept=None, frames=None):
    """Returns the bytes of a slice; `pixels` are the stored numbers, (height, width) or (height, width, 3)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    file.Rows, file.Columns = pixels.shape[:2]
    file.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    file.PhotometricInterpretation = kind
    file.BitsAllocated = 8 * pixels.dtype.itemsize
    file.BitsStored = stored or file.BitsAllocated
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        file.PlanarConfiguration = 0
    if slope is not None:
        file.RescaleSlope, file.RescaleIntercept = slope, intercept
    if frames is not None:
        file.NumberOfFrames = frames
    file.PixelData = pixels.tobytes() * (frames or 1)
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def stored(number=0, *, low=0, high=4095, dtype=np.uint16, shape=(12, 10)):
    return np.random.default_rng([7, number]).integers(low, high + 1, shape).astype(dtype)


@pytest.mark.parametrize(
    ("content", "meant"),
    [
        (dicom(stored()), stored()),
        (dicom(stored(), slope=1, intercept=-1024), stored().astype(int) - 1024),
        (dicom(stored(dtype=np.int16, low=-900), slope=2, intercept=5), stored(dtype=np.int16, low=-900) * 2 + 5),
        (dicom(stored(), slope=0.5, intercept=0), stored() * 0.5),
        (dicom(stored(), kind="MONOCHROME1", stored=12), 4095 - stored().astype(int)),
        (dicom(stored(), kind="MONOCHROME1", stored=12, slope=2, intercept=-7), (4095 - stored().astype(int)) * 2 - 7),
    ],
)
def test_samples_are_the_stored_numbers_rescaled_with_black_smallest(content, meant):
    header = read_header(Encoded(where="x", content=content))
    assert (header.size, header.has_colour, header.kind) == ((12, 10), False, "wide")
    assert np.array_equal(read_samples(content).values, meant)


@pytest.mark.parametrize("kind", ["MONOCHROME2", "MONOCHROME1", "RGB"])
def test_eight_bits_are_pixels(kind):
    pixels = stored(high=255, dtype=np.uint8, shape=(12, 10, 3) if kind == "RGB" else (12, 10))
    content = dicom(pixels, kind=kind)
    header = read_header(Encoded(where="x", content=content))
    assert (header.kind, header.has_colour) == ("byte", kind == "RGB")
    expected = 255 - pixels if kind == "MONOCHROME1" else pixels
    assert np.array_equal(np.asarray(read_samples(content).picture), expected)


def test_series_in_class_folders_is_scaled_by_the_training_range_in_both_storages(tmp_path, prepare):
    values = {}
    for split in ("train", "test"):
        for number in range(8):
            name = ("benign", "tumor")[number // 4]
            # Slices of one series differ in slope, as those of PET do.
            pixels, slope = stored(number + 10 * (split == "test")), 1 + number % 2
            values[split, number] = pixels.astype(int) * slope - 1024
            (tmp_path / "ct" / split / name).mkdir(parents=True, exist_ok=True)
            path = tmp_path / "ct" / split / name / f"{number}.dcm"
            path.write_bytes(dicom(pixels, slope=slope, intercept=-1024))
    both = [
        prepare(source="images", path=str(tmp_path / "ct"), allow_overlap=True, **more)
        for more in ({}, {"memory_gb": 0})
    ]
    train = np.stack([values["train", number] for number in range(8)])
    test = np.stack([values["test", number] for number in range(8)])
    low, high = int(train.min()), int(train.max())
    assert both[0].info.pixel_rule.wide == (low, high)
    for data in both:
        rows = np.arange(8)
        for images, meant in ((data.train.images, train), (data.test.images, test)):
            expected = np.rint((meant - low) * 255.0 / (high - low)).clip(0, 255).astype(np.uint8)
            assert np.array_equal(images[rows][..., 0], expected)
    assert both[0].info.fingerprint == both[1].info.fingerprint


def test_window_of_the_study_holds_for_slices_as_bytes(tmp_path, prepare, made):
    slices = [stored(number) for number in range(8)]
    contents = [dicom(pixels, slope=1, intercept=-1024) for pixels in slices]
    path = made.write_parquet(tmp_path / "a.parquet", images=contents, labels=np.arange(8) % 2)
    data = prepare(source="parquet", train=str(path), pixel_range=(-160, 240), allow_overlap=True)
    expected = np.rint((np.stack(slices) - 1024.0 + 160) * 255 / 400).clip(0, 255).astype(np.uint8)
    assert np.array_equal(data.train.images[..., 0], expected)


def compressed(syntax):
    file = pydicom.dcmread(io.BytesIO(dicom(stored(high=255, dtype=np.uint8))))
    file.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xc3 no decoder reads this"])
    file["PixelData"].is_undefined_length = True
    file.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (dicom(stored(), frames=3), "is DICOM of 3 frames, expected one"),
        (
            dicom(stored(high=255, dtype=np.uint8), kind="PALETTE COLOR"),
            "photometric interpretation PALETTE COLOR, expected",
        ),
        (dicom(stored(shape=(12, 10, 3)), kind="RGB"), "is colour DICOM of 16 bits, expected 8"),
        (dicom(stored())[:-40], "cannot be read as a DICOM slice"),
        (dicom(stored())[:300], "cannot be read as a DICOM slice"),
        (compressed(JPEGLosslessSV1), "is DICOM of JPEG Lossless, Non-Hierarchical, First-Order Prediction"),
        (
            compressed(JPEG2000Lossless),
            "is DICOM of JPEG 2000 Image Compression (Lossless Only), which cannot be decoded",
        ),
    ],
)
def test_slice_that_cannot_be_read_right_is_refused_in_words(content, message):
    with pytest.raises(PictureError) as caught:
        read_samples(content)
    assert message in str(caught.value)
    assert "0x" not in str(caught.value)


def test_rle_which_pydicom_decodes_itself_is_read():
    file = pydicom.dcmread(io.BytesIO(dicom(stored())))
    file.compress(RLELossless)
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    assert np.array_equal(read_samples(buffer.getvalue()).values, stored())


def test_dicom_without_the_extra_says_how_to_install_it(monkeypatch, tmp_path, prepare):
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    (tmp_path / "ct" / "a").mkdir(parents=True)
    (tmp_path / "ct" / "a" / "1.dcm").write_bytes(dicom(stored()))
    (tmp_path / "ct" / "b").mkdir(parents=True)
    (tmp_path / "ct" / "b" / "1.dcm").write_bytes(dicom(stored(1)))
    with pytest.raises(DataError, match=r"2 of 2 images cannot be used(.|\n)*pip install 'convfleet\[dicom\]'"):
        prepare(source="images", path=str(tmp_path / "ct"))
