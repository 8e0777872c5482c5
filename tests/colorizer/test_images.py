"""Pictures are read as a person sees them, or refused for one of a few reasons."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from colorizer.images import Reason, UnreadableImage, encode_png, read_rgb, to_square

WHITE = (255, 255, 255)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def noise(width: int = 40, height: int = 30) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes whose head promises width x height pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def reason_of(source: Path | bytes) -> Reason:
    with pytest.raises(UnreadableImage) as caught:
        read_rgb(source)
    return caught.value.reason


def test_plain_colours_come_back_unchanged_from_a_file_and_from_bytes(tmp_path: Path) -> None:
    image = noise()
    (tmp_path / "a.png").write_bytes(saved(image))
    for source in (tmp_path / "a.png", saved(image)):
        read = read_rgb(source)
        assert read.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(read), np.asarray(image))


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "RGB", "L", "I;16"])
def test_what_is_transparent_is_white(mode: str) -> None:
    options: dict[str, Any] = {}
    if mode == "P":
        image = Image.new("P", (12, 9), 0)
        image.putpalette([10, 20, 30, 200, 100, 50])
        options["transparency"] = 0
    elif mode in ("RGBA", "LA"):
        image = Image.new(mode, (12, 9), (10, 20, 30, 0) if mode == "RGBA" else (10, 0))
    else:
        image = Image.new(mode, (12, 9), (10, 20, 30) if mode == "RGB" else 10)
        options["transparency"] = (10, 20, 30) if mode == "RGB" else 10
    assert read_rgb(saved(image, **options)).getcolors() == [(108, WHITE)]


def test_half_transparent_black_is_grey() -> None:
    assert read_rgb(saved(Image.new("RGBA", (8, 8), (0, 0, 0, 128)))).getpixel((3, 3)) == (127, 127, 127)


def test_a_photo_taken_sideways_is_turned() -> None:
    image = Image.new("RGB", (20, 10), WHITE)
    image.paste((0, 0, 0), (0, 0, 5, 5))  # top left, as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = read_rgb(saved(image, exif=exif))
    assert turned.size == (10, 20)
    assert turned.getpixel((9, 0)) == (0, 0, 0)
    assert turned.getpixel((0, 0)) == WHITE


def test_16_bits_keep_black_white_and_the_middle() -> None:
    values = np.full((9, 11), 65535, dtype=np.uint16)
    values[0, :3] = 0, 32768, 254
    read = np.asarray(read_rgb(saved(Image.fromarray(values))))
    assert read[0, :3, 0].tolist() == [0, 128, 1]
    assert (read[1:] == 255).all()


def test_cmyk_is_converted() -> None:
    red, green, blue = read_rgb(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")).getpixel((8, 8))  # type: ignore[misc]
    assert red > 240
    assert max(green, blue) < 30


PRIMARIES = {"r": (0.4360, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7141)}  # sRGB's


def profile(red: str = "r", green: str = "g", blue: str = "b", name: str = "mine") -> bytes:
    """An ICC profile (ICC.1:2001-04) whose primaries are these of sRGB's, with its gamma but for the toe."""

    def numbers(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    text = name.encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": b"XYZ \0\0\0\0" + numbers(0.9642, 1, 0.8249),
    }
    for channel, primary in (("r", red), ("g", green), ("b", blue)):
        tags[f"{channel}XYZ".encode()] = b"XYZ \0\0\0\0" + numbers(*PRIMARIES[primary])
        tags[f"{channel}TRC".encode()] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    table, content = struct.pack(">I", len(tags)), b""
    for signature, data in tags.items():
        table += struct.pack(">4sII", signature, 132 + 12 * len(tags) + len(content), len(data))
        content += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        132 + 12 * len(tags) + len(content),
        b"",
        0x02100000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        bytes([7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]),
        b"acsp",
    )
    head += bytes(28) + numbers(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + table + content


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_those_that_the_profile_says(mode: str) -> None:
    red = Image.new("RGB", (9, 9), (255, 0, 0)).convert(mode)
    first, second, third = read_rgb(saved(red, icc_profile=profile("g", "r", "b"))).getpixel((4, 4))  # type: ignore[misc]
    assert second > 250
    assert max(first, third) < 5


def test_what_is_transparent_stays_so_in_other_colours() -> None:
    clear = Image.new("RGBA", (9, 9), (255, 0, 0, 0))
    assert read_rgb(saved(clear, icc_profile=profile("g", "r", "b"))).getcolors() == [(81, WHITE)]
    keyed = saved(Image.new("RGB", (9, 9), (255, 0, 0)), transparency=(255, 0, 0), icc_profile=profile("g", "r", "b"))
    assert read_rgb(keyed).getcolors() == [(81, WHITE)]


@pytest.mark.parametrize("said", [profile(name="sRGB IEC61966-2.1"), b"no profile", profile("g")[:200]])
def test_profiles_of_srgb_and_damaged_ones_change_nothing(said: bytes) -> None:
    picture = noise()
    assert np.array_equal(np.asarray(read_rgb(saved(picture, icc_profile=said))), np.asarray(picture))


def test_a_profile_of_another_mode_changes_nothing() -> None:
    grey = Image.new("L", (9, 9), 77)
    assert read_rgb(saved(grey, icc_profile=profile("g", "r", "b"))).getcolors() == [(81, (77, 77, 77))]


def test_of_an_animation_the_first_frame_is_read() -> None:
    frames = [Image.new("RGB", (9, 9), color) for color in ("red", "lime", "blue")]
    for kind in ("GIF", "PNG"):
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert read_rgb(content).getcolors() == [(81, (255, 0, 0))]


def test_metadata_is_left_behind() -> None:
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    assert b"where I live" in saved(noise(), exif=exif)
    read = read_rgb(saved(noise(), exif=exif, icc_profile=b"profile", dpi=(72, 72)))
    assert read.info == {}
    assert b"where I live" not in encode_png(read)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"<svg></svg>", Reason.NOT_AN_IMAGE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n", Reason.NOT_AN_IMAGE),  # never to Ghostscript
        (saved(noise())[:-400], Reason.DAMAGED),
        (saved(noise(), "JPEG")[:-400], Reason.DAMAGED),
        (saved(noise())[:400] + bytes(300) + saved(noise())[700:], Reason.DAMAGED),
        (b"P6\n40 thirty\n255\n" + bytes(3600), Reason.DAMAGED),  # a ValueError of the decoder
        (saved(noise(1, 1)), Reason.TOO_SMALL),
        (saved(noise(7, 90)), Reason.TOO_SMALL),
        (png_that_claims(9000, 9000), Reason.TOO_LARGE),
        (png_that_claims(10_000, 10_000), Reason.TOO_LARGE),
        (png_that_claims(100_000, 100_000), Reason.TOO_LARGE),
        (saved(Image.new("F", (9, 9)), "TIFF"), Reason.UNSUPPORTED),
    ],
)  # fmt: skip
def test_bad_content_is_refused_with_its_reason(content: bytes, reason: Reason, tmp_path: Path) -> None:
    file = tmp_path / "bad.png"
    file.write_bytes(content)
    assert reason_of(content) == reason
    assert reason_of(file) == reason


@settings(deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    st.floats(0, 1),
)
def test_whatever_damage_there_is_the_answer_is_a_picture_or_a_reason(
    kind: str, changes: list[tuple[float, int]], kept: float
) -> None:
    content = bytearray(saved(noise(), kind))
    for place, value in changes:
        content[int(place * len(content))] = value
    for damaged in (content, content[: int(kept * len(content))]):
        try:
            assert read_rgb(bytes(damaged)).mode == "RGB"
        except UnreadableImage as refused:
            assert refused.reason in Reason  # noqa: PT017 - either outcome is right


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(self: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    assert reason_of(png_that_claims(8001, 8000)) == Reason.TOO_LARGE


def test_the_message_says_the_rule_and_the_value() -> None:
    with pytest.raises(UnreadableImage, match="7 x 90 pixels, at least 8"):
        read_rgb(saved(noise(7, 90)))


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert reason_of(tmp_path / "pipe.png") == Reason.NOT_A_FILE
    assert reason_of(tmp_path) == Reason.NOT_A_FILE
    assert reason_of(Path("/dev/null")) == Reason.NOT_A_FILE
    assert reason_of(tmp_path / "absent.png") == Reason.CANNOT_OPEN


def test_a_wide_picture_is_centred_on_white() -> None:
    square = np.asarray(to_square(Image.new("RGB", (40, 20), "red"), 10))
    assert square.shape == (10, 10, 3)
    assert (square[2:7] == (255, 0, 0)).all()
    assert (square[:2] == 255).all()
    assert (square[8:] == 255).all()


def test_reduction_averages_and_never_overshoots() -> None:
    columns = np.zeros((64, 64), dtype=np.uint8)
    columns[:, ::2] = 255
    assert np.ptp(np.asarray(to_square(Image.fromarray(columns), 8)).astype(int)) < 10  # one grey, no moiré
    edge = np.full((60, 60), 200, dtype=np.uint8)
    edge[:, :30] = 100
    small = np.asarray(to_square(Image.fromarray(edge), 16))
    assert small.min() == 100
    assert small.max() == 200


def test_a_sliver_does_not_fill_the_memory() -> None:
    square = np.asarray(to_square(Image.new("L", (8, 2_000_000), 0), 16))
    assert square.shape == (16, 16)
    assert (square == 0).any(0).sum() == 1  # one column of ink, the rest paper


@settings(deadline=None)
@given(st.integers(8, 60), st.integers(8, 60), st.integers(8, 50), st.sampled_from(["L", "RGB"]))
def test_every_picture_becomes_a_square_of_the_size_asked_for(w: int, h: int, size: int, mode: str) -> None:
    ink = to_square(Image.new(mode, (w, h), "black"), size)
    assert ink.size == (size, size)
    assert ink.mode == mode
    shorter = max(1, round(min(w, h) * size / max(w, h)))
    assert (np.asarray(ink.convert("L")) == 0).sum() == size * shorter
