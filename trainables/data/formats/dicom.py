"""Slices of DICOM, read by pydicom: one frame, rescaled, black as the smallest number."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from trainables.data.formats.facts import Header, Samples
from trainables.data.formats.refusals import PictureError

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")


def is_dicom(content: bytes) -> bool:
    """Returns whether bytes are a DICOM file with its preamble."""
    return content[128:132] == b"DICM"


def dicom_header(content: bytes) -> Header:
    """Returns the header of a slice.

    Raises:
        PictureError: If it is no single grey or colour image.
    """
    slice_ = _checked(content, stop_before_pixels=True)
    return Header(
        size=(int(slice_.Rows), int(slice_.Columns)),
        has_colour=slice_.PhotometricInterpretation not in GREY,
        kind="byte" if _is_byte(slice_) else "wide",
    )


def dicom_samples(content: bytes) -> Samples:
    """Returns the samples of a slice: of grey ones the stored numbers times RescaleSlope plus RescaleIntercept.

    MONOCHROME1, whose smallest number is white, is turned over, so that black is the smallest number in all slices.

    Raises:
        PictureError: If its pixels cannot be decoded.
    """
    slice_ = _checked(content, stop_before_pixels=False)
    values = _pixels(slice_)
    if slice_.PhotometricInterpretation == "MONOCHROME1":
        is_signed = bool(slice_.PixelRepresentation)
        top = -1 if is_signed else (1 << int(slice_.BitsStored)) - 1
        values = (top - values.astype(np.int64)).astype(np.int64)
    slope, intercept = _rescale(slice_)
    if (slope, intercept) != (1.0, 0.0):
        values = _whole_if_exact(values * slope + intercept)
    elif _is_byte(slice_):
        values = values.astype(np.uint8)
    if values.dtype == np.uint8:
        from PIL import Image

        return Samples(picture=Image.fromarray(values), is_plain=False)
    return Samples(values=values, is_plain=False)


def _checked(content: bytes, *, stop_before_pixels: bool) -> Any:
    pydicom = _pydicom()
    try:
        slice_ = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=stop_before_pixels)
        kind, frames = str(slice_.PhotometricInterpretation), int(slice_.get("NumberOfFrames", 1) or 1)
        _, _ = int(slice_.Rows), int(slice_.Columns)
        bits = int(slice_.BitsAllocated)
    except Exception as exc:
        raise PictureError(f"cannot be read as a DICOM slice: {_line(exc)}") from exc
    if frames > 1:
        raise PictureError(f"is DICOM of {frames} frames, expected one", "write each frame as a file of its own")
    if kind not in (*GREY, *COLOUR):
        raise PictureError(
            f"is DICOM of photometric interpretation {kind}, expected one of {', '.join((*GREY, *COLOUR[:2]))}",
            "convert it to RGB",
        )
    if kind in COLOUR and bits != 8:
        raise PictureError(f"is colour DICOM of {bits} bits, expected 8", "save it with 8 bits")
    return slice_


def _pixels(slice_: Any) -> np.ndarray[Any, np.dtype[Any]]:
    from pydicom.pixels.processing import convert_color_space

    try:
        values = np.asarray(slice_.pixel_array)
        kind = str(slice_.PhotometricInterpretation)
        if kind.startswith("YBR"):
            values = np.asarray(convert_color_space(values, kind, "RGB"))
    except Exception as exc:
        syntax = getattr(getattr(slice_, "file_meta", None), "TransferSyntaxUID", None)
        name = getattr(syntax, "name", None) or "an unnamed transfer syntax"
        if syntax is not None and getattr(syntax, "is_compressed", False):
            raise PictureError(
                f"is DICOM of {name}, which cannot be decoded: {_line(exc)}",
                "install a decoder (pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg), or decompress it",
            ) from exc
        raise PictureError(f"cannot be read as a DICOM slice: {_line(exc)}") from exc
    expected = (int(slice_.Rows), int(slice_.Columns))
    if values.shape[:2] != expected or values.ndim not in (2, 3):
        raise PictureError(f"has DICOM pixels of shape {values.shape}, expected {expected}")
    return values


def _is_byte(slice_: Any) -> bool:
    if slice_.PhotometricInterpretation in COLOUR:
        return True
    is_small = int(slice_.BitsAllocated) == 8 and not int(slice_.PixelRepresentation)
    return is_small and _rescale(slice_) == (1.0, 0.0)


def _rescale(slice_: Any) -> tuple[float, float]:
    if slice_.PhotometricInterpretation in COLOUR:
        return 1.0, 0.0
    try:
        return float(slice_.get("RescaleSlope", 1) or 1), float(slice_.get("RescaleIntercept", 0) or 0)
    except (TypeError, ValueError) as exc:
        raise PictureError(f"has a DICOM rescale that is no number: {_line(exc)}") from exc


def _whole_if_exact(values: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    whole = np.rint(values)
    return whole.astype(np.int64) if np.array_equal(whole, values) else values


def _line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:300] or type(exc).__name__


def _pydicom() -> Any:
    # Late: an extra, which few data sets need.
    try:
        import pydicom
    except ModuleNotFoundError as exc:
        raise PictureError("is DICOM, which pydicom reads", "pip install 'convfleet[dicom]'") from exc
    return pydicom
