"""Every drawing decoded once: looked at, judged, encoded into a scratch file; of all of them little stays in memory."""

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from colorizer.columns import IMAGE, stored_image
from colorizer.dataset import WORKERS
from colorizer.images import UnreadableImage, encode_png, read_rgb
from colorizer.line_art import lines_from_colors
from colorizer.pairing import Pair, Tally
from colorizer.preparing.limits import Limits, Unfit
from colorizer.preparing.look import Look, look_at

Progress = Callable[[int, int], None]

EXAMPLES = 6  # of each reason to pass a drawing over are kept with their pictures

SCRATCH = pa.schema(
    [
        ("name", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("line", IMAGE),
        ("color", IMAGE),
        ("square", pa.binary()),
    ]
)
MEASURES = np.dtype(
    [
        ("likeness", np.uint8, 16),
        ("line_art", np.uint8, 16),
        ("width", np.int32),
        ("height", np.int32),
        ("density", np.float32),
        ("colourfulness", np.float32),
        ("subject", np.float32),
    ]
)

_ROWS_PER_GROUP = 256
_BYTES_PER_GROUP = 64 * 2**20  # of large drawings fewer make a group, so that one always fits in memory


class Example(NamedTuple):
    """A drawing to be shown: its name, what there is to say of it, and its `Look.square`, if it could be read."""

    name: str
    about: str
    square: NDArray[np.uint8] | None


@dataclass
class Rejections:
    """What was passed over: how many by reason, and the first few with their pictures."""

    tallies: dict[str, Tally]
    examples: dict[str, list[Example]] = field(default_factory=dict)

    def add(self, reason: str, example: Example) -> None:
        self.tallies[reason] = self.tallies.get(reason, Tally()).plus(example.name)
        shown = self.examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append(example)


class Encoded(NamedTuple):
    """What the scratch file holds, row by row: N names, and (N,) records of MEASURES."""

    names: list[str]
    measures: NDArray[np.void]


class _Row(NamedTuple):
    name: str
    size: tuple[int, int]
    line: bytes
    color: bytes
    look: Look
    line_digest: bytes
    color_digest: bytes


class _Refusal(NamedTuple):
    reason: str
    example: Example


def encode_all(
    pairs: list[Pair],
    scratch: Path,
    rejections: Rejections,
    limits: Limits,
    pen: Callable[[str], str],
    progress: Progress | None,
) -> Encoded:
    """Decodes the pairs in their order and encodes those that are fit into a Parquet file.

    Args:
        pairs: what to read.
        scratch: the file to write.
        rejections: gets what is passed over.
        limits: what makes a drawing unfit.
        pen: name of a pair without line art -> the style in which its lines are drawn.
        progress: called with (pairs done, pairs in all) after each pair.
    """
    names: list[str] = []
    measures = np.zeros(len(pairs), dtype=MEASURES)
    waiting: list[_Row] = []
    weight = 0
    seen: dict[bytes, str] = {}
    encode = partial(_encode, limits=limits, pen=pen)
    # PNG gets no smaller by being compressed once more; raw squares do, to a fraction.
    options = {"compression": {**dict.fromkeys(_leaves(), "none"), "square": "zstd"}, "use_dictionary": False}
    with pq.ParquetWriter(scratch, SCRATCH, **options) as writer, closing(_in_order(encode, pairs)) as rows:
        for done, row in enumerate(rows, start=1):
            if isinstance(row, _Refusal):
                rejections.add(row.reason, row.example)
            elif (first := seen.setdefault(row.line_digest + row.color_digest, row.name)) != row.name:
                rejections.add(Unfit.COPY, Example(row.name, f"same as {first}", row.look.square))
            else:
                measures[len(names)] = _measured(row)
                names.append(row.name)
                waiting.append(row)
                weight += len(row.line) + len(row.color)
            if waiting and (len(waiting) == _ROWS_PER_GROUP or weight > _BYTES_PER_GROUP or done == len(pairs)):
                writer.write_table(_table(waiting))
                waiting, weight = [], 0
            if progress is not None:
                progress(done, len(pairs))
    return Encoded(names, measures[: len(names)])


def _leaves() -> list[str]:
    images = [f"{image}.{part.name}" for image in ("line", "color") for part in IMAGE]
    return [*images, "name", "width", "height"]


def _in_order(
    function: Callable[[Pair], _Row | _Refusal], pairs: Iterable[Pair]
) -> Generator[_Row | _Refusal, None, None]:
    """`map` by threads that runs only a few pairs ahead of what has been taken."""
    pool = ThreadPoolExecutor(WORKERS)
    try:
        running: deque[Future[_Row | _Refusal]] = deque()
        for pair in pairs:
            running.append(pool.submit(function, pair))
            if len(running) > 4 * WORKERS:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # whoever interrupts does not wait for the next few


def _encode(pair: Pair, *, limits: Limits, pen: Callable[[str], str]) -> _Row | _Refusal:
    try:
        color = read_rgb(pair.color)
        if pair.line is None:
            line = Image.fromarray(lines_from_colors(np.asarray(color), pen(pair.name)))
        else:
            line = read_rgb(pair.line).convert("L")
    except UnreadableImage as error:
        path = error.path or pair.color
        return _Refusal(error.reason, Example(f"{path.parent.name}/{path.name}", error.detail, None))
    look = look_at(line, color)
    (w1, h1), (w2, h2) = color.size, line.size
    if abs(w1 * h2 - w2 * h1) > 0.01 * w1 * h2:  # another resolution of the same drawing may pass
        sizes = f"line {w2} x {h2}, colours {w1} x {h1} pixels"
        return _Refusal(Unfit.SHAPES_DIFFER, Example(pair.name, sizes, look.square))
    if unfit := limits.unfit(look, w1, h1):
        reason, about = unfit
        return _Refusal(reason, Example(pair.name, about, look.square))
    return _Row(pair.name, color.size, encode_png(line), encode_png(color), look, _digest(line), _digest(color))


def _digest(image: Image.Image) -> bytes:
    return hashlib.blake2b(f"{image.size}".encode() + image.tobytes(), digest_size=16).digest()


def _measured(row: _Row) -> NDArray[np.void]:
    record = np.zeros((), dtype=MEASURES)
    record["line_art"] = np.frombuffer(row.line_digest, dtype=np.uint8)
    record["width"], record["height"] = row.size
    for name in ("likeness", "density", "colourfulness", "subject"):
        record[name] = getattr(row.look, name)
    return record


def _table(rows: list[_Row]) -> pa.Table:
    columns = {
        "name": [row.name for row in rows],
        "width": [row.size[0] for row in rows],
        "height": [row.size[1] for row in rows],
        "line": [stored_image(row.name, row.line) for row in rows],
        "color": [stored_image(row.name, row.color) for row in rows],
        "square": [row.look.square.tobytes() for row in rows],
    }
    return pa.table(columns, schema=SCRATCH)
