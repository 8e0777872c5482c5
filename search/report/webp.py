"""Pictures made small: WebP, and all of them together within a budget. What is no picture is left out."""

import base64
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

BUDGET = 2_500_000  # characters that the pictures of a page may take
_MOST_PIXELS = 2**24  # of a picture that is decoded
_SIDE = 384  # pixels; no picture is shown larger than half of that
_SMALL = 128 * 128  # pixels up to which a picture may be kept exactly
_QUALITIES = (85, 70, 50, 30)
_LOSSLESS_FROM = _QUALITIES[0]


@dataclass(frozen=True)
class Fitted:
    """Pictures as data URIs by the bytes they were made of, without what is no picture.

    Attributes:
        kept: how many of the groups are on the page, from the first.
    """

    uris: Mapping[bytes, str]
    kept: int


def fitted(groups: Sequence[Sequence[bytes]], budget: int = BUDGET) -> Fitted:
    """Re-encode pictures so that all together take at most `budget` characters of the page.

    At the quality of 85, small flat ones exactly where that is smaller; where that is too much, at lower ones; where
    even that is too much, the last groups are left out.
    """
    decoded = {data: _decoded(data) for data in {data for group in groups for data in group}}
    pictures = {data: picture for data, picture in decoded.items() if picture is not None}
    for quality in _QUALITIES:
        uris = {data: _uri(picture, quality) for data, picture in pictures.items()}
        sizes = [sum(len(uris.get(data, "")) for data in group) for group in groups]
        if sum(sizes) <= budget:
            return Fitted(uris, len(groups))
    return Fitted(uris, sum(total <= budget for total in _running(sizes)))


def _running(sizes: Sequence[int]) -> Iterator[int]:
    total = 0
    for size in sizes:
        total += size
        yield total


def _decoded(data: bytes) -> Image.Image | None:
    """The picture, not larger than it is ever shown; None where the bytes are none, or one too large to open."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes: those that are too large are refused below
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as found:
                if found.width * found.height > _MOST_PIXELS:
                    return None
                picture = found.convert("RGBA" if found.has_transparency_data else "RGB")
    except Exception:  # decoders of damaged files raise whatever their parts raise
        return None
    picture.thumbnail((_SIDE, _SIDE))
    return picture


def _uri(picture: Image.Image, quality: int) -> str:
    encoded = _webp(picture, quality=quality)
    if quality == _LOSSLESS_FROM and picture.width * picture.height <= _SMALL:
        encoded = min(_webp(picture, lossless=True), encoded, key=len)
    return f"data:image/webp;base64,{base64.b64encode(encoded).decode('ascii')}"


def _webp(picture: Image.Image, *, quality: int = 75, lossless: bool = False) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=quality, lossless=lossless, method=4)
    return stream.getvalue()
