"""Folders of drawings -> a dataset: decodes each pair once, splits them, writes. `dataset.py` reads it
back."""

import hashlib
import json
import os
import shutil
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from colorizer.dataset import DESCRIPTION_FILE, DRAWINGS_FILE, FORMAT, SPLITS, VERSION, WORKERS, sha256_of
from colorizer.images import SUFFIXES, UnreadableImage, encode_png, read_rgb
from colorizer.line_art import lines_from_colors
from colorizer.pairing import Pair, Pairing, Tally, licences, pair_drawings
from colorizer.splitting import assign_splits

SHAPES_DIFFER = "line and colours of different shape"

Progress = Callable[[int, int], None]

_ROWS_PER_GROUP = 256
_BYTES_PER_GROUP = 64 * 2**20  # of large drawings fewer make a group, so that one always fits in memory
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_ENCODED = pa.schema([("name", pa.string()), ("line", _IMAGE), ("color", _IMAGE)])
# The description of columns that Hugging Face `datasets` writes into Parquet files, and knows images by.
_FEATURES = {
    "name": {"dtype": "string", "_type": "Value"},
    "split": {"dtype": "string", "_type": "Value"},
    "group": {"dtype": "int64", "_type": "Value"},
    "line": {"_type": "Image"},
    "color": {"_type": "Image"},
}
_DRAWINGS = pa.schema(
    [
        ("name", pa.string()),
        ("split", pa.string()),
        ("group", pa.int64()),
        ("line", _IMAGE),
        ("color", _IMAGE),
    ],
    metadata={
        "huetune": json.dumps({"format": FORMAT, "version": VERSION}),
        "huggingface": json.dumps({"info": {"features": _FEATURES}}),
    },
)


class PrepareError(Exception):
    """Drawings that cannot become a dataset; the message says why and what to do."""


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made, and what it passed over.

    Attributes:
        folder: of the dataset.
        counts: drawings per split.
        groups: number of different line drawings.
        rejected: reason -> files passed over.
        unpaired: "color" and "line" -> images without a partner in the other folder.
        digest: SHA-256 of the Parquet file.
        licences: names of the licence files copied beside the data.
    """

    folder: Path
    counts: dict[str, int]
    groups: int
    rejected: dict[str, Tally]
    unpaired: dict[str, Tally]
    digest: str
    licences: list[str]


def prepare(
    colors: Path,
    output: Path,
    lines: Path | None = None,
    *,
    seed: int = 0,
    fractions: Sequence[float] = (0.7, 0.2, 0.1),
    progress: Progress | None = None,
) -> Prepared:
    """Makes a dataset of the drawings in a folder and its subfolders.

    `output` gets `drawings.parquet`, with the columns name, split, group, line and color (images as PNG of
    the original size, in the {bytes, path} form of Hugging Face `datasets`), `dataset.json`, and the licence
    files found in the folders and their parents. It appears whole or not at all. Files that cannot be used
    are counted by reason. Only names are held for all drawings, so memory stays bounded. The result depends
    on names, contents and arguments, not on the order in which the file system lists files.

    Args:
        colors: folder of coloured drawings.
        output: folder to make; nothing may be there yet.
        lines: folder of their line art, paired by relative path without suffix. None: lines are drawn from
            the colours.
        seed: of the shuffle that decides on splits.
        fractions: of train, val and test; positive, of sum 1. Drawings with identical line art are one group
            and go to one split, so the fractions are met as closely as that allows.
        progress: called with (pairs done, pairs in all) after each pair.

    Raises:
        PrepareError: the arguments are wrong, `output` exists, or too few drawings can be used.
    """
    _check(colors, output, lines, fractions)
    pairing = pair_drawings(colors, lines)
    if not pairing.pairs:
        raise PrepareError(_no_pair(pairing, colors, lines))
    with _appearing_whole(output) as folder:
        encoded = folder / "encoded.parquet"
        digests = _encode_all(pairing, encoded, progress)
        if not digests:
            raise PrepareError(
                f"None of the {len(pairing.pairs)} drawings in {colors} can be used{_passed_over(pairing)}."
            )
        groups = _numbered(digests)
        try:
            splits = assign_splits(groups, dict(zip(SPLITS, fractions, strict=True)), seed)
        except ValueError as error:
            raise PrepareError(f"{colors} is too small a collection: {error}{_passed_over(pairing)}.") from error
        _add_splits(encoded, folder / DRAWINGS_FILE, splits, groups)
        encoded.unlink()
        prepared = Prepared(
            folder=output,
            counts={split: splits.count(split) for split in SPLITS},
            groups=len(set(groups)),
            rejected=pairing.rejected,
            unpaired=pairing.unpaired,
            digest=sha256_of(folder / DRAWINGS_FILE),
            licences=_copy_licences([colors] if lines is None else [colors, lines], folder),
        )
        source = {"colors": colors.resolve().name, "lines": None if lines is None else lines.resolve().name}
        _describe(prepared, folder, {"seed": seed, "fractions": list(fractions), "source": source})
    return prepared


class _Row(NamedTuple):
    name: str
    line: bytes
    color: bytes
    digest: bytes


class _Refusal(NamedTuple):
    name: str
    reason: str


def _check(colors: Path, output: Path, lines: Path | None, fractions: Sequence[float]) -> None:
    for folder in (colors, lines):
        if folder is not None and not folder.is_dir():
            found = "is none" if folder.exists() else "does not exist"
            raise PrepareError(f"Expected a folder of drawings, but {folder} {found}.")
    if lines is not None and lines.resolve() == colors.resolve():
        raise PrepareError(
            f"Expected colours and line art in two folders, got {colors} for both; "
            "without a line folder, lines are drawn from the colours."
        )
    if os.path.lexists(output):
        raise PrepareError(f"{output} exists and is not overwritten; give another name or remove it.")
    if len(fractions) != len(SPLITS) or not min(fractions) > 0 or not abs(sum(fractions) - 1) < 1e-6:
        raise PrepareError(f"Expected positive fractions of {', '.join(SPLITS)} with sum 1, got {fractions}.")


def _no_pair(pairing: Pairing, colors: Path, lines: Path | None) -> str:
    counts = pairing.unpaired
    if lines is None or not (counts["color"].count and counts["line"].count):
        empty = colors if lines is None or not counts["color"].count else lines
        suffixes = " ".join(sorted(SUFFIXES))
        return f"There is no drawing in {empty}{_passed_over(pairing)}. Expected images: {suffixes}."
    return (
        f"No drawing in {colors} has its line art in {lines}; without a partner are {counts['color']} of the former "
        f"and {counts['line']} of the latter"
        f"{_passed_over(pairing)}. Names must match but for the suffix, subfolders included: "
        f"{colors.name}/cat/1.png goes with {lines.name}/cat/1.png."
    )


def _passed_over(pairing: Pairing) -> str:
    reasons = "; ".join(f"{reason}: {tally}" for reason, tally in pairing.rejected.items())
    return f" (passed over: {reasons})" if reasons else ""


@contextmanager
def _appearing_whole(output: Path) -> Iterator[Path]:
    """A new folder that becomes `output` when the work in it has succeeded, and otherwise vanishes."""
    partial = output.parent / f".{output.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(output)
    except OSError as error:
        raise PrepareError(f"{output} could not be written: {error}; is there space, and the right?") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _encode_all(pairing: Pairing, file: Path, progress: Progress | None) -> list[bytes]:
    """Decodes and encodes the pairs in their order into a Parquet file; the line-art digests of those
    kept."""
    digests: list[bytes] = []
    rows: list[_Row] = []
    weight = 0
    with pq.ParquetWriter(file, _ENCODED, compression="none", use_dictionary=False) as writer:
        for done, row in enumerate(_in_order(_encode, pairing.pairs), start=1):
            if isinstance(row, _Refusal):
                pairing.rejected[row.reason] = pairing.rejected.get(row.reason, Tally()).plus(row.name)
            else:
                digests.append(row.digest)
                rows.append(row)
                weight += len(row.line) + len(row.color)
            if rows and (len(rows) == _ROWS_PER_GROUP or weight > _BYTES_PER_GROUP or done == len(pairing.pairs)):
                writer.write_table(_table(rows))
                rows, weight = [], 0
            if progress is not None:
                progress(done, len(pairing.pairs))
    return digests


def _in_order(function: Callable[[Pair], _Row | _Refusal], pairs: Iterable[Pair]) -> Iterator[_Row | _Refusal]:
    """`map` by threads that runs only a few pairs ahead of what has been taken."""
    with ThreadPoolExecutor(WORKERS) as pool:
        running: deque[Future[_Row | _Refusal]] = deque()
        for pair in pairs:
            running.append(pool.submit(function, pair))
            if len(running) > 4 * WORKERS:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _encode(pair: Pair) -> _Row | _Refusal:
    try:
        color = read_rgb(pair.color)
        if pair.line is None:
            line = Image.fromarray(lines_from_colors(np.asarray(color)))
        else:
            line = read_rgb(pair.line).convert("L")
    except UnreadableImage as error:
        path = error.path or pair.color
        return _Refusal(f"{path.parent.name}/{path.name}", error.reason)
    (w1, h1), (w2, h2) = color.size, line.size
    if abs(w1 * h2 - w2 * h1) > 0.01 * w1 * h2:  # another resolution of the same drawing may pass
        return _Refusal(pair.name, SHAPES_DIFFER)
    digest = hashlib.sha256(f"{line.size}".encode() + line.tobytes()).digest()
    return _Row(pair.name, encode_png(line), encode_png(color), digest)


def _table(rows: list[_Row]) -> pa.Table:
    paths = [row.name.rpartition("/")[2] + ".png" for row in rows]
    images = {
        kind: [{"bytes": png, "path": path} for png, path in zip(pngs, paths, strict=True)]
        for kind, pngs in (("line", [row.line for row in rows]), ("color", [row.color for row in rows]))
    }
    return pa.table({"name": [row.name for row in rows], **images}, schema=_ENCODED)


def _numbered(digests: Iterable[bytes]) -> list[int]:
    """Equal digests get equal numbers, counted in the order in which they first come."""
    numbers: dict[bytes, int] = {}
    return [numbers.setdefault(digest, len(numbers)) for digest in digests]


def _add_splits(encoded: Path, file: Path, splits: list[str], groups: list[int]) -> None:
    with (
        pq.ParquetFile(encoded) as source,
        pq.ParquetWriter(file, _DRAWINGS, compression="none", use_dictionary=["split"]) as writer,
    ):
        start = 0
        for i in range(source.num_row_groups):
            rows = source.read_row_group(i)
            part = slice(start, start := start + rows.num_rows)
            columns: dict[str, Any] = {"split": splits[part], "group": groups[part]}
            columns |= {name: rows[name] for name in _ENCODED.names}
            writer.write_table(pa.table({name: columns[name] for name in _DRAWINGS.names}, schema=_DRAWINGS))


def _copy_licences(folders: list[Path], target: Path) -> list[str]:
    copied: dict[str, bytes] = {}
    for path in licences(folders):
        content = path.read_bytes()
        name = path.name if copied.get(path.name, content) == content else f"{path.parent.name}-{path.name}"
        copied[name] = content
    for name, content in copied.items():
        (target / name).write_bytes(content)
    return sorted(copied)


def _describe(prepared: Prepared, folder: Path, made_from: dict[str, Any]) -> None:
    description = {
        "format": FORMAT,
        "version": VERSION,
        "counts": prepared.counts,
        "groups": prepared.groups,
        "rejected": {reason: [tally.count, tally.examples] for reason, tally in prepared.rejected.items()},
        "unpaired": {kind: [tally.count, tally.examples] for kind, tally in prepared.unpaired.items()},
        **made_from,
        "digest": prepared.digest,
        "licences": prepared.licences,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
