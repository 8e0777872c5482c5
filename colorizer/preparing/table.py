"""Labels of drawings from a CSV file that lies beside them."""

import csv
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from colorizer.images import SUFFIXES
from colorizer.pairing import Tally
from colorizer.preparing import PrepareError

_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Labels:
    """What a table says of drawings.

    Attributes:
        of: name of a drawing -> its label; names without a row, and rows without a text, are not in it.
        without_row: drawings that the table does not name.
        without_drawing: rows that name no drawing.
    """

    of: dict[str, str]
    without_row: Tally
    without_drawing: Tally


def read_labels(file: Path, column: str | None, drawings: Iterable[str]) -> Labels:
    """Reads the labels of drawings from one column of a CSV file.

    A row names its drawing in the column `file`, or if there is none in the first: the path within the folder, with
    or without suffix. The first line names the columns; commas, semicolons or tabs part them.

    Args:
        file: UTF-8, with or without byte order mark.
        column: with the labels.
        drawings: names, as `pairing.Pair` has them.

    Raises:
        PrepareError: the file cannot be read, has no such column, or gives one drawing two labels.
    """
    rows = _rows(file, column)
    known = set(drawings)
    labels: dict[str, str] = {}
    strange = Tally()
    named: set[str] = set()
    for line, path, label in rows:
        name = _name(path)
        if name not in known:
            strange = strange.plus(path)
            continue
        if name in named and labels.get(name, "") != label:
            raise PrepareError(
                f"Expected one label a drawing, but {file} gives {path} a second one in line {line}: {label!r} after"
                f" {labels.get(name, '')!r}. Remove one of the rows."
            )
        named.add(name)
        if label:
            labels[name] = label
    missing = Tally()
    for name in sorted(known - named):
        missing = missing.plus(name)
    if not labels:
        raise PrepareError(
            f"Expected labels of {len(known)} drawings in the column {column} of {file}, found none; it names"
            f" {strange}. A row names its drawing by the path within the folder: cat/1.png."
        )
    return Labels(labels, without_row=missing, without_drawing=strange)


def _rows(file: Path, column: str | None) -> list[tuple[int, str, str]]:
    """Line number, path and label of every row."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            head = stream.readline()
            stream.seek(0)
            reader = csv.reader(stream, delimiter=max(_DELIMITERS, key=head.count), strict=True)
            columns = [name.strip() for name in next(reader, [])]
            path_at, label_at = _places(file, column, columns)
            last = max(path_at, label_at)
            return [(reader.line_num, row[path_at].strip(), row[label_at].strip()) for row in reader if len(row) > last]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PrepareError(f"Expected a table as CSV in UTF-8, but {file} cannot be read: {error}.") from error


def _places(file: Path, column: str | None, columns: list[str]) -> tuple[int, int]:
    path_at = columns.index("file") if "file" in columns else 0
    offered = [name for place, name in enumerate(columns) if place != path_at]
    if not offered:
        raise PrepareError(
            f"Expected a first line of at least two columns in {file}, a file and a label, found {columns}."
        )
    if column not in offered:
        asked = "none was named" if column is None else f"got {column!r}"
        raise PrepareError(
            f"Expected the column of {file} that holds the labels, one of {', '.join(offered)}; {asked}."
        )
    return path_at, columns.index(column)


def _name(path: str) -> str:
    """The name that a drawing of that path has: no suffix, and each accent spelled in one way."""
    plain = PurePosixPath(unicodedata.normalize("NFC", path.replace("\\", "/")))
    return str(plain.with_suffix("") if plain.suffix.lower() in SUFFIXES else plain)
