"""A dataset and more drawings to a new dataset, whose counts and statistics are its own."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from colorizer.bucket import Place
from colorizer.columns import FEATURES, completed, stored_image
from colorizer.dataset import DESCRIPTION_FILE, DRAWINGS_FILE, SPLITS, WORKERS, Dataset, sha256_of
from colorizer.images import DARK, read_rgb, to_square
from colorizer.pairing import side_by_side
from colorizer.preparing.look import SIDE
from colorizer.preparing.statistics import statistics

# What there must be of each further drawing: its pictures as PNG, and width and height of the coloured one.
ROWS = pa.schema(
    [
        ("name", pa.string()),
        ("line", pa.binary()),
        ("color", pa.binary()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)


def extend(
    dataset: Dataset,
    folder: Path,
    more: Path,
    kept: NDArray[np.intp],
    about: dict[str, Any],
    licensed: Iterable[Path] = (),
) -> dict[str, int]:
    """Write a dataset again with more drawings in its training split, of the origin "pseudo" and without labels.

    Columns that datasets of earlier versions lack are added. The statistics of the training split are counted anew, for
    which each of its drawings is decoded once.

    Args:
        dataset: the other.
        folder: where the new one is written, not yet read by anybody.
        more: a Parquet file of `ROWS`; no drawing in it has the line art of another, or of one in the dataset.
        kept: (M,) ascending, its rows that are added.
        about: JSON values to be kept in the description, at the end of the list "pseudo".
        licensed: licence files of the drawings, to be put beside those of the dataset.

    Returns:
        Drawings per split.

    Raises:
        DatasetError: the dataset cannot be read.
        OSError: a file cannot be read or written.
    """
    tallies = _write(dataset.fetched(), more, kept, folder / DRAWINGS_FILE)
    description = _describe(dataset, folder, tallies, about, licensed)
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
    return {split: tallies.splits[split] for split in SPLITS}


@dataclass
class _Tallies:
    """What is counted while rows pass by."""

    splits: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    groups: set[int] = field(default_factory=set)
    values: NDArray[np.int64] = field(default_factory=lambda: np.zeros((4, 256), np.int64))
    densities: list[float] = field(default_factory=list)

    def count(self, rows: pa.Table, workers: ThreadPoolExecutor) -> None:
        splits, labels = rows["split"].to_pylist(), rows["label"].to_pylist()
        self.splits.update(splits)
        self.groups.update(rows["group"].to_pylist())
        for split, label in zip(splits, labels, strict=True):
            if label:
                self.labels.setdefault(label, Counter())[split] += 1
        train = rows.filter(pa.array([split == "train" for split in splits]))
        pictures = ([picture["bytes"] for picture in train[kind].to_pylist()] for kind in ("line", "color"))
        for values, density in workers.map(_look, *pictures):
            self.values += values
            self.densities.append(density)


def _look(line: bytes, color: bytes) -> tuple[NDArray[np.int64], float]:
    """How often the networks' inputs have each value, (4, 256), and the share of the line art that is dark."""
    drawn = read_rgb(line).convert("L")
    squares = np.dstack([np.asarray(to_square(image, SIDE)) for image in (drawn, read_rgb(color))])  # (64, 64, 4)
    values = np.stack([np.bincount(squares[..., channel].ravel(), minlength=256) for channel in range(4)])
    return values, float((np.asarray(drawn) < DARK).mean())


def _write(source: Path, more: Path, kept: NDArray[np.intp], file: Path) -> _Tallies:
    """The rows of a dataset, and behind them the kept ones of more, each in a group of its own."""
    tallies = _Tallies()
    with pq.ParquetFile(source) as old, pq.ParquetFile(more) as new, ThreadPoolExecutor(WORKERS) as workers:
        schema = _completed(old.schema_arrow)
        texts = ["split", "label", "origin"]
        with pq.ParquetWriter(file, schema, compression="none", use_dictionary=texts) as writer:
            for rows in _given(old, schema):
                writer.write_table(rows)
                tallies.count(rows, workers)
            for rows in _pseudo(new, kept, max(tallies.groups) + 1, schema):
                writer.write_table(rows)
                tallies.count(rows, workers)
    return tallies


def _completed(schema: pa.Schema) -> pa.Schema:
    """The schema with the columns that datasets of earlier versions lack, also in what Hugging Face reads."""
    metadata = dict(schema.metadata or {})
    known = json.loads(metadata.get(b"huggingface", b'{"info": {"features": {}}}'))
    whole = completed(schema.empty_table()).schema
    for name in whole.names[len(schema) :]:
        known["info"]["features"][name] = FEATURES[name]
    return whole.with_metadata({**metadata, b"huggingface": json.dumps(known).encode()})


def _given(old: pq.ParquetFile, schema: pa.Schema) -> Iterator[pa.Table]:
    for group in range(old.num_row_groups):
        yield completed(old.read_row_group(group)).select(schema.names).cast(schema)


def _pseudo(new: pq.ParquetFile, kept: NDArray[np.intp], group: int, schema: pa.Schema) -> Iterator[pa.Table]:
    start = 0
    for number in range(new.num_row_groups):
        rows = new.read_row_group(number)
        stop = start + len(rows)
        rows = rows.take(pa.array(kept[(kept >= start) & (kept < stop)] - start))
        start = stop
        if not len(rows):
            continue
        columns: dict[str, Any] = {name: rows[name] for name in ("name", "width", "height")}
        columns |= {"split": ["train"] * len(rows), "label": [""] * len(rows), "origin": ["pseudo"] * len(rows)}
        columns["group"] = np.arange(group, group := group + len(rows))
        for kind in ("line", "color"):
            columns[kind] = [stored_image(row["name"], row[kind]) for row in rows.select(["name", kind]).to_pylist()]
        unknown = [None] * len(rows)  # of columns that somebody else has added
        yield pa.table({name: columns.get(name, unknown) for name in schema.names}, schema=schema)


def _describe(
    dataset: Dataset, folder: Path, tallies: _Tallies, about: dict[str, Any], licensed: Iterable[Path]
) -> dict[str, Any]:
    """What dataset.json is to say. The licences of both are written."""
    description = dataset.description()
    place = Place.of(dataset.address)
    names = [name for name in map(str, description.get("licences", [])) if _beside(name) and place.has(name)]
    labels = {label: dict(counts) for label, counts in sorted(tallies.labels.items())}
    return {
        **description,
        "counts": {split: tallies.splits[split] for split in SPLITS},
        "groups": len(tallies.groups),
        "statistics": statistics(tallies.values, np.array(tallies.densities, np.float32)),
        "digest": sha256_of(folder / DRAWINGS_FILE),
        "licences": _licences(folder, {name: place.read(name) for name in names}, licensed),
        "pseudo": [*description.get("pseudo", []), about],
        **({"labels": labels} if labels else {}),
    }


def _beside(name: str) -> bool:
    """Whether a name that a description gives stands for a file beside it, and for none of the dataset's own."""
    return name == Path(name).name and name not in (DESCRIPTION_FILE, DRAWINGS_FILE)


def _licences(folder: Path, given: dict[str, bytes], more: Iterable[Path]) -> list[str]:
    written = side_by_side(more, given)
    for name, content in written.items():
        (folder / name).write_bytes(content)
    return sorted(written)
