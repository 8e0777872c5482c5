"""Pictures of every kind that people have, given to the commands that read them: seen as a person would see them, or
refused with the rule, and never at the price of the memory."""

import hashlib
import io
import json
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image, ImageDraw
from typer.testing import CliRunner, Result

from colorizer import checkpoint
from colorizer.checkpoint import Description
from colorizer.cli import colorize
from colorizer.config import TrainingConfig, build_generator
from colorizer.prepare_command import prepare
from search.cli import app

COMMANDS = {"prepare": prepare, "colorize": colorize}
CONFIG = TrainingConfig(channels=4, levels=2, discriminator_channels=4, size=16)


def huetune(name: str, *arguments: Any) -> Result:
    app = typer.Typer()
    app.command()(COMMANDS[name])
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def drawing(number: int = 0, width: int = 40, height: int = 24) -> Image.Image:
    """Black lines and a few full colours, the same neither mirrored nor turned."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((2, 2, 12 + number % 7, 17), fill=(255, 0, 0), outline="black", width=2)
    draw.rectangle((20 + number % 5, 4, 37, 8 + number % 11), fill=(0, 0, 255), outline="black", width=2)
    return image


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(pixels: np.ndarray, depth: int, colour: int) -> bytes:
    """A PNG as its specification has it, of (H, W, C) in the depth given."""
    rows = pixels.astype(">u2" if depth == 16 else "u1")
    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def sixteen_bits(image: Image.Image) -> bytes:
    return png_of(np.asarray(image).astype(int) * 257, 16, 2)


def sixteen_bit_gray(image: Image.Image) -> bytes:
    return png_of(np.asarray(image.convert("L")).astype(int)[..., None] * 257, 16, 0)


def adobe_jpeg(image: Image.Image) -> bytes:
    """Inks, which Adobe's programs store inverted and mark as theirs."""
    content = saved(cmyk(image), "JPEG", quality=100, subsampling=0)
    assert b"Adobe" in content
    return content


def cmyk(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.dstack([255 - np.asarray(image), np.zeros(image.size[::-1], np.uint8)]), "CMYK")


def palette(image: Image.Image) -> bytes:
    """White is transparent, and its place in the palette is green."""
    indexed = image.quantize(8)
    table = np.array(indexed.getpalette()).reshape(-1, 3)
    white = int(np.argmax(table.sum(1)))
    table[white] = 0, 255, 0
    indexed.putpalette(table.flatten().tolist())
    return saved(indexed, "PNG", transparency=white)


def animation(kind: str, **options: Any) -> Callable[[Image.Image], bytes]:
    def save(image: Image.Image) -> bytes:
        others = [Image.new("RGB", image.size, colour) for colour in ("lime", "black")]
        return saved(image, kind, save_all=True, append_images=others, duration=80, **options)

    return save


# How to have the picture lie in the file for each value of the EXIF tag, so that a viewer shows it upright.
LAID = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}


def turned(orientation: int, kind: str = "PNG") -> Callable[[Image.Image], bytes]:
    def save(image: Image.Image) -> bytes:
        for step in LAID[orientation]:
            image = image.transpose(step)
        exif = Image.Exif()
        exif[0x0112] = orientation
        return saved(image, kind, exif=exif, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {}))

    return save


KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "plain.png": lambda image: saved(image, "PNG"),
    "adobe.jpg": adobe_jpeg,
    "inks.tiff": lambda image: saved(cmyk(image), "TIFF"),
    "sixteen.png": sixteen_bits,
    "palette.png": palette,
    "moving.gif": animation("GIF"),
    "moving.png": animation("PNG"),
    "moving.webp": animation("WEBP", lossless=True),
    "clear.webp": lambda image: saved(clear(image), "WEBP", lossless=True),
    **{f"turned{n}.png": turned(n) for n in LAID},
    **{f"turned{n}.jpg": turned(n, "JPEG") for n in LAID},
}


def clear(image: Image.Image) -> Image.Image:
    """White paper as transparent black."""
    pixels = np.dstack([np.asarray(image), np.full(image.size[::-1], 255, np.uint8)])
    pixels[(pixels[..., :3] == 255).all(-1)] = 0
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    generator = build_generator(CONFIG)
    checkpoint.write(folder, Description(CONFIG), {checkpoint.GENERATOR: generator.state_dict()})
    return folder


def coloured(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("name", [*KINDS, "gray16.png"])
def test_colorize_sees_what_a_person_sees(model: Path, tmp_path: Path, name: str) -> None:
    image = drawing()
    if name == "gray16.png":
        content, image = sixteen_bit_gray(image), image.convert("L")
    else:
        content = KINDS[name](image)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(content)
    (tmp_path / "in" / "reference.png").write_bytes(saved(image, "PNG"))
    told = huetune("colorize", model, tmp_path / "in" / name, tmp_path / "in" / "reference.png", "-o", tmp_path / "out")

    assert told.exit_code == 0, told.output
    found, expected = (coloured(tmp_path / "out" / f"{Path(n).stem}.png") for n in (name, "reference.png"))
    assert found.shape == expected.shape
    exact = not name.endswith(".jpg")
    assert np.abs(found - expected).max() <= (0 if exact else 40)
    assert np.abs(found - expected).mean() <= (0 if exact else 2)
    assert expected.std() > 10


def test_prepare_sees_what_a_person_sees(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    expected = {}
    for number, (name, save) in enumerate(KINDS.items()):
        # Of different sizes too, and no two alike, which would be left out.
        image = expected[f"{number:02d}-{name}"] = drawing(number, 40 + number, 24 + number // 2)
        (tmp_path / "in" / f"{number:02d}-{name}").write_bytes(save(image))
    told = huetune("prepare", tmp_path / "in", "-o", tmp_path / "data")

    assert told.exit_code == 0, told.output
    rows = pq.read_table(tmp_path / "data" / "drawings.parquet").to_pylist()
    by_name = {row["name"]: Image.open(io.BytesIO(row["color"]["bytes"])) for row in rows}
    assert len(by_name) == len(expected), told.output
    for name, image in expected.items():
        (found,) = [image for stem, image in by_name.items() if name.startswith(stem)]
        assert (found.mode, found.size) == ("RGB", image.size)
        apart = np.abs(np.asarray(found).astype(int) - np.asarray(image))
        assert apart.mean() <= (2 if name.endswith(".jpg") else 0), name


def test_prepare_refuses_a_folder_of_gray_pictures_and_says_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(5):
        drawing(number).convert("L").save(tmp_path / "in" / f"{number}.png")
    told = huetune("prepare", tmp_path / "in", "-o", tmp_path / "data")
    assert told.exit_code == 1
    assert "all of the 5 drawings that can be used are grey" in told.output
    assert "--lines" in told.output
    assert not (tmp_path / "data").exists()


def test_prepare_refuses_too_few_drawings_for_a_split_each(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        drawing(number).save(tmp_path / "in" / f"{number}.png")
    told = huetune("prepare", tmp_path / "in", "-o", tmp_path / "data")
    assert told.exit_code == 1
    assert "train, val, test need at least 3" in told.output


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_search_on_a_dataset_without_a_split_is_refused_before_anything_is_trained(
    dataset: Path, tmp_path: Path, split: str
) -> None:
    data = tmp_path / "data"
    shutil.copytree(dataset, data)
    rows = pq.read_table(data / "drawings.parquet")
    pq.write_table(rows.filter(pc.field("split") != split), data / "drawings.parquet")
    told = json.loads((data / "dataset.json").read_text())
    digest = hashlib.sha256((data / "drawings.parquet").read_bytes()).hexdigest()
    (data / "dataset.json").write_text(json.dumps(told | {"counts": told["counts"] | {split: 0}, "digest": digest}))

    quick = Path(__file__).parents[2] / "searches" / "quick.py"
    shown = CliRunner().invoke(app, ["run", str(quick), "--data", str(data), "--storage", str(tmp_path / "runs")])
    assert shown.exit_code == 1
    assert f"got none in {split} of {data}" in shown.output
    assert not (tmp_path / "runs").exists()


def test_colorize_names_the_limit_that_a_drawing_breaks_and_goes_on_with_the_others(
    model: Path, tmp_path: Path
) -> None:
    Image.new("L", (1, 1), 255).save(tmp_path / "dot.png")
    for name, width, height in (("wall", 20_000, 20_000), ("fence", 8001, 8000)):
        Image.new("1", (width, height), 1).save(tmp_path / f"{name}.png")
    (tmp_path / "words.png").write_text("no picture")
    drawing().save(tmp_path / "good.png")
    given = [tmp_path / f"{name}.png" for name in ("dot", "wall", "fence", "words", "absent", "good")]
    told = huetune("colorize", model, *given, tmp_path, "-o", tmp_path / "out")

    assert told.exit_code == 1
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["good.png"]
    said = " ".join(told.output.split())
    for words in (
        "dot.png: too small (1 x 1 pixels, at least 8 on each side are needed)",
        "wall.png: too large (at most 64,000,000 pixels are read)",
        "fence.png: too large (8001 x 8000 pixels, at most 64,000,000 are read)",
        "words.png: not an image",
        "absent.png: cannot be opened (No such file or directory)",
        f"{tmp_path}: not a file",
        "1 of 7 drawings coloured",
    ):
        assert words in said
    assert huetune("colorize", model, tmp_path / "words.png", "-o", tmp_path / "none").exit_code == 1
    assert not (tmp_path / "none").exists()


def test_drawings_of_one_name_do_not_take_each_others_place(model: Path, tmp_path: Path) -> None:
    given = [tmp_path / folder / "1.png" for folder in ("a [red]", "b")]
    for width, file in zip((40, 41), given, strict=True):
        file.parent.mkdir()
        drawing(0, width).save(file)
    told = huetune("colorize", model, *given, "-o", tmp_path / "out")
    assert told.exit_code == 0, told.output
    assert coloured(tmp_path / "out" / "a [red]" / "1.png").shape[1] == 40
    assert coloured(tmp_path / "out" / "b" / "1.png").shape[1] == 41


def test_the_drawings_themselves_are_never_overwritten(model: Path, tmp_path: Path) -> None:
    drawing().save(tmp_path / "1.png")
    before = (tmp_path / "1.png").read_bytes()
    told = huetune("colorize", model, tmp_path / "1.png", "-o", tmp_path)
    assert told.exit_code == 1
    assert "Choose another with -o" in told.output
    assert (tmp_path / "1.png").read_bytes() == before


def test_who_gives_an_inverted_drawing_is_warned(model: Path, tmp_path: Path) -> None:
    learned = Description(CONFIG, data={"statistics": {"line": {"mean": 0.6, "std": 0.7, "density": 0.2}}})
    weights = checkpoint.read_tensors(model, checkpoint.GENERATOR)
    checkpoint.write(tmp_path / "model", learned, {checkpoint.GENERATOR: weights})
    usual = drawing().convert("L").point(lambda value: 255 if value > 128 else 0)
    usual.save(tmp_path / "usual [bold].png")
    usual.point(lambda value: 255 - value).save(tmp_path / "negative [bold].png")
    given = [tmp_path / f"{name} [bold].png" for name in ("usual", "negative")]
    told = huetune("colorize", tmp_path / "model", *given, "-o", tmp_path / "out")
    assert told.exit_code == 0, told.output
    assert f"{given[1]}: " in told.output
    assert told.output.count("white lines on black?") == 1
    assert len([*(tmp_path / "out").iterdir()]) == 2
    assert "white lines" not in huetune("colorize", model, *given, "-o", tmp_path / "again").output


def test_a_link_that_the_user_names_is_the_users_choice(model: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    drawing().save(tmp_path / "elsewhere" / "it.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "elsewhere" / "it.png")
    assert huetune("colorize", model, tmp_path / "link.png", "-o", tmp_path / "out").exit_code == 0
    assert coloured(tmp_path / "out" / "link.png").shape == (24, 40, 3)


def test_links_in_a_folder_are_not_followed_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").mkdir()
    for number in range(4):
        drawing(number).save(tmp_path / "in" / f"{number}.png")
    drawing(5).save(tmp_path / "secret" / "5.png")
    (tmp_path / "in" / "file.png").symlink_to(tmp_path / "secret" / "5.png")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "secret")
    told = huetune("prepare", tmp_path / "in", "-o", tmp_path / "data")
    assert told.exit_code == 0, told.output
    names = pq.read_table(tmp_path / "data" / "drawings.parquet")["name"].to_pylist()
    assert sorted(names) == ["0", "1", "2", "3"]
    assert "file.png" in json.dumps(json.loads((tmp_path / "data" / "dataset.json").read_text()))


def bombs() -> dict[str, bytes]:
    """Small files that claim to be huge."""
    tiff, webp = bytearray(saved(drawing(), "TIFF")), bytearray(saved(drawing(), "WEBP", lossless=True))
    directory = struct.unpack_from("<I", tiff, 4)[0]
    for entry in range(directory + 2, directory + 2 + 12 * struct.unpack_from("<H", tiff, directory)[0], 12):
        if struct.unpack_from("<H", tiff, entry)[0] in (256, 257, 278):  # width, height, rows of a strip
            struct.pack_into("<HII", tiff, entry + 2, 4, 1, 60_000)
    struct.pack_into("<I", webp, webp.index(b"VP8L") + 9, 16_383 | 16_383 << 14)
    jpeg = bytearray(saved(drawing(), "JPEG"))
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, 65_000, 65_000)
    bmp = bytearray(saved(drawing(), "BMP"))
    struct.pack_into("<ii", bmp, 18, 60_000, 60_000)
    gif = bytearray(saved(drawing(), "GIF"))
    frame = bytearray(gif)
    struct.pack_into("<HH", gif, 6, 60_000, 60_000)
    struct.pack_into("<HH", frame, frame.index(b"\x2c\x00\x00\x00\x00") + 5, 60_000, 60_000)

    def png(width: int, height: int) -> bytes:
        head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        white = png_chunk(b"IDAT", zlib.compress(b"\0" * 60_000_000))
        return b"\x89PNG\r\n\x1a\n" + head + white + png_chunk(b"IEND", b"")

    return {
        "wall.png": png(20_000, 20_000),
        "more.png": png(2_000_000_000, 2_000_000_000),
        "a.tiff": bytes(tiff),
        "a.webp": bytes(webp),
        "a.jpg": bytes(jpeg),
        "a.bmp": bytes(bmp),
        "screen.gif": bytes(gif),
        "frame.gif": bytes(frame),
        "a.ppm": b"P6\n60000 60000\n255\n" + bytes(99),
    }


PEAK = """
import resource, sys
from pathlib import Path
from PIL import Image
from colorizer.images import UnreadableImage, read_rgb

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

Image.init()
before = peak()
for name in sys.argv[1:]:
    try:
        read_rgb(Path(name))
        print(Path(name).name, "read", end="; ")
    except UnreadableImage as refused:
        print(Path(name).name, refused.reason, end="; ")
print(round(peak() - before))
"""


def test_bombs_of_every_format_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    files = bombs()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert len(content) < 100_000
    shown = subprocess.run(
        [sys.executable, "-c", PEAK, *(str(tmp_path / name) for name in files)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    *told, grown = shown.split("; ")
    assert told == [f"{name} too large" for name in files]
    assert int(grown) < 30, "MiB"


def test_the_largest_drawing_is_coloured_within_three_times_its_size(tmp_path: Path) -> None:
    """8,000 x 8,000 pixels are 244 MiB, as Pillow holds them: the drawing, its colours, its lines and little else."""
    code = PEAK.replace("from PIL", "import numpy as np\nfrom colorizer.inference import colorize_image\nfrom PIL")
    code = code.replace(
        "        read_rgb(Path(name))\n",
        "        plain = lambda lines: np.zeros((1, 3, 16, 16), np.float32)\n"
        "        print(colorize_image(plain, read_rgb(Path(name)), 16).size, end='; ')\n",
    )
    Image.new("1", (8000, 8000), 1).save(tmp_path / "large.png")
    shown = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "large.png"], capture_output=True, text=True, check=True
    )
    size, _, grown = shown.stdout.split("; ")
    assert size == "(8000, 8000)"
    assert int(grown) < 3 * 244
