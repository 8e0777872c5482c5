"""Reads one picture the way a person would see it, and lays it into a square. Knows nothing of datasets."""

import io
import stat
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

MAX_PIXELS = 64_000_000
MIN_SIDE = 8
DARK = 128  # of 255: in line art, ink is what is darker than that

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))

# Named one by one: Pillow would otherwise hand a file that claims to be PostScript to Ghostscript.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"}
)


class Reason(StrEnum):
    """Why a picture was refused; few and fixed, so that refusals can be counted."""

    NOT_A_FILE = "not a file"
    CANNOT_OPEN = "cannot be opened"
    EMPTY = "empty file"
    NOT_AN_IMAGE = "not an image"
    DAMAGED = "truncated or damaged"
    UNSUPPORTED = "unsupported pixel format"
    TOO_LARGE = "too large"
    TOO_SMALL = "too small"


class UnreadableImage(Exception):
    """A picture that cannot be used.

    Attributes:
        path: the file, or None if the picture came as bytes.
        reason: one of `Reason`.
        detail: the rule and the value that broke it, or what the decoder said; may be empty.
    """

    def __init__(self, path: Path | None, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{path or 'image'}: {reason}" + (f" ({detail})" if detail else ""))
        self.path, self.reason, self.detail = path, reason, detail


def read_rgb(source: Path | bytes) -> Image.Image:
    """Decodes a picture to 8-bit RGB as it is meant to be looked at.

    It is turned as its EXIF data says, laid on white where it is transparent, and reduced to 8 bits; colours that a
    profile says are other than sRGB become those; of an animation the first frame is taken. The result carries no
    metadata.

    Args:
        source: a file, or the bytes of one. PNG, JPEG, GIF, BMP, TIFF, WebP and PPM are read.

    Raises:
        UnreadableImage: it is no regular file, empty, no image, damaged or cut short, holds more than 64
            million pixels (checked before anything is decoded), or is smaller than 8 pixels on a side.
    """
    if isinstance(source, bytes):
        if not source:
            raise UnreadableImage(None, Reason.EMPTY)
        return _decode(io.BytesIO(source), None)
    try:
        status = source.stat()  # before opening: to open a pipe would wait for a writer
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImage(source, Reason.NOT_A_FILE)
        if status.st_size == 0:
            raise UnreadableImage(source, Reason.EMPTY)
        with source.open("rb") as stream:
            return _decode(stream, source)
    except OSError as error:  # of opening; what goes wrong in decoding has been given a reason by _decode
        raise UnreadableImage(source, Reason.CANNOT_OPEN, error.strerror or str(error)) from error


def to_square(image: Image.Image, size: int) -> Image.Image:
    """Scales a picture until its longer side is `size`, and centres it on a white `size` x `size` square.

    Reduction averages over all pixels covered, with a filter that never overshoots, so that a flat colour
    stays flat beside an edge.

    Args:
        image: of mode "L" or "RGB".
        size: in pixels, at least 1.
    """
    width, height = inner_size(image.size, size)
    if (width, height) != image.size:
        # Scaled before padding: the square around a sliver of 8 x 8,000,000 pixels would not fit in memory.
        filter_ = Image.Resampling.HAMMING if size < max(image.size) else Image.Resampling.BICUBIC
        image = image.resize((width, height), filter_)
    if width == height:
        return image
    square = Image.new(image.mode, (size, size), "white")
    square.paste(image, ((size - width) // 2, (size - height) // 2))
    return square


def inner_size(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Width and height of the part of its square that `to_square` gives to a picture of this width and height."""
    scale = size / max(shape)
    width, height = (max(1, round(side * scale)) for side in shape)
    return width, height


def encode_png(image: Image.Image) -> bytes:
    """The picture as PNG bytes, quick rather than small."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def _decode(stream: BinaryIO, path: Path | None) -> Image.Image:
    try:
        image = Image.open(stream, formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            rule = f"{width} x {height} pixels, at most {MAX_PIXELS:,} are read"
            raise UnreadableImage(path, Reason.TOO_LARGE, rule)
        if min(width, height) < MIN_SIDE:
            rule = f"{width} x {height} pixels, at least {MIN_SIDE} on each side are needed"
            raise UnreadableImage(path, Reason.TOO_SMALL, rule)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _as_seen(image, path)
    except UnreadableImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own limit, which is beyond ours and would not help who reads of it.
        raise UnreadableImage(path, Reason.TOO_LARGE, f"at most {MAX_PIXELS:,} pixels are read") from error
    except UnidentifiedImageError as error:
        raise UnreadableImage(path, Reason.NOT_AN_IMAGE) from error
    except Exception as error:
        # Decoders meet damaged bytes with nearly every exception there is (OSError, SyntaxError, ValueError,
        # struct.error, IndexError, ...). One bad file among many thousands is counted and does not end work.
        raise UnreadableImage(path, Reason.DAMAGED, str(error)) from error


def _as_seen(image: Image.Image, path: Path | None) -> Image.Image:
    if image.mode.startswith("I"):
        image = _from_16_bits(image)
    if image.mode in ("F", "LAB"):
        raise UnreadableImage(path, Reason.UNSUPPORTED, f"mode {image.mode}; save it with 8 bits per channel")
    image = _in_srgb(image)
    if image.has_transparency_data:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    rgb.info.clear()
    return rgb


def _in_srgb(image: Image.Image) -> Image.Image:
    """The picture in sRGB by the profile that it brings; as it is where that is sRGB's, damaged or of another mode."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    if image.mode == "P" or image.has_transparency_data:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    with suppress(ImageCms.PyCMSError, OSError):
        theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" not in ImageCms.getProfileDescription(theirs):
            seen = ImageCms.profileToProfile(
                image,
                theirs,
                _SRGB,
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGBA" if image.mode == "RGBA" else "RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            return image if seen is None else seen
    return image


def _from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        values[values == transparent] = 65535
    return Image.fromarray(np.clip((values + 128) // 257, 0, 255).astype(np.uint8))
