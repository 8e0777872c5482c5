"""The scratch file becomes the dataset's: bytes are moved, with the columns that only the whole collection decides."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from colorizer.columns import COLUMNS, FEATURES
from colorizer.dataset import FORMAT, SPLITS, VERSION
from colorizer.preparing.assignment import Assignment
from colorizer.preparing.look import SIDE

_DRAWINGS = pa.schema(
    list(COLUMNS.items()),
    metadata={
        "huetune": json.dumps({"format": FORMAT, "version": VERSION}),
        "huggingface": json.dumps({"info": {"features": FEATURES}}),
    },
)


@dataclass(frozen=True)
class Seen:
    """What passed by while bytes were moved.

    Attributes:
        values: split -> (4, 256) int64, how often the line, red, green and blue of the networks' inputs have each of
            the values 0 to 255.
        squares: row of the scratch file -> its `Look.square`, of the rows that were asked for.
    """

    values: dict[str, NDArray[np.int64]] = field(
        default_factory=lambda: {split: np.zeros((4, 256), dtype=np.int64) for split in SPLITS}
    )
    squares: dict[int, NDArray[np.uint8]] = field(default_factory=dict)


def write_dataset(scratch: Path, file: Path, assignment: Assignment, shown: Collection[int]) -> Seen:
    """Writes the rows that have a split, in their order, and looks at the squares of all; keeps those of `shown`."""
    seen = Seen()
    with (
        pq.ParquetFile(scratch) as source,
        pq.ParquetWriter(file, _DRAWINGS, compression="none", use_dictionary=["split", "label", "origin"]) as writer,
    ):
        start = 0
        for i in range(source.num_row_groups):
            rows = source.read_row_group(i)
            part = slice(start, start := start + rows.num_rows)
            splits = assignment.splits[part]
            _look(rows["square"], splits, part.start, seen, shown)
            for name, values in (
                ("split", splits),
                ("group", assignment.groups[part]),
                ("label", assignment.labels[part]),
                ("origin", ["given"] * rows.num_rows),
            ):
                rows = rows.append_column(name, pa.array(values, COLUMNS[name]))
            kept = rows.select(_DRAWINGS.names).filter(pa.array(splits != ""))
            if kept.num_rows:
                writer.write_table(kept.cast(_DRAWINGS))
    return seen


def _look(column: pa.ChunkedArray, splits: NDArray[np.str_], start: int, seen: Seen, shown: Collection[int]) -> None:
    squares = [np.frombuffer(square.as_buffer(), dtype=np.uint8).reshape(4, SIDE, SIDE) for square in column]
    for split, values in seen.values.items():
        inside = [squares[place] for place in np.flatnonzero(splits == split)]
        for channel in range(4 if inside else 0):
            pixels = np.concatenate([square[channel].ravel() for square in inside])
            values[channel] += np.bincount(pixels, minlength=256)
    for place, square in enumerate(squares):
        if start + place in shown:
            seen.squares[start + place] = square.copy()
