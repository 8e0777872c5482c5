"""Folders of drawings -> a dataset: decodes each pair once, leaves out what is unfit, splits the rest, writes it and
a page about it. `dataset.py` reads it back."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from colorizer.dataset import DESCRIPTION_FILE, DRAWINGS_FILE, FORMAT, SPLITS, VERSION, sha256_of
from colorizer.pairing import Tally, licences, pair_drawings, printable, side_by_side
from colorizer.preparing import PrepareError
from colorizer.preparing.assignment import Assignment, assign
from colorizer.preparing.checks import MIXED, PENS, check_choices, check_folders, check_usable, no_pair, passed_over
from colorizer.preparing.first_pass import EXAMPLES, Encoded, Example, Progress, Rejections, encode_all
from colorizer.preparing.limits import Limits, Unfit
from colorizer.preparing.report import REPORT_FILE, Findings, page
from colorizer.preparing.second_pass import Seen, write_dataset
from colorizer.preparing.statistics import statistics
from colorizer.preparing.table import read_labels

__all__ = ["MIXED", "PENS", "Limits", "PrepareError", "Prepared", "prepare"]

# What the page shows of what there is.
_SAMPLES = 12
_FAMILIES, _OF_A_FAMILY = 12, 6


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made, and what it passed over.

    Attributes:
        folder: of the dataset.
        counts: drawings per split.
        groups: how many; drawings of identical line art, or that look alike, are one.
        alike: drawings that share their group with another.
        labels: label -> drawings per split; empty without labels.
        statistics: of the training split, see `preparing.statistics`.
        rejected: reason -> files passed over.
        unpaired: "color" and "line" -> images without a partner in the other folder.
        unlabelled: "drawings" and "rows" -> drawings that the table does not name, rows that name no drawing.
        digest: SHA-256 of the Parquet file.
        licences: names of the licence files copied beside the data.
    """

    folder: Path
    counts: dict[str, int]
    groups: int
    alike: int
    labels: dict[str, dict[str, int]]
    statistics: dict[str, Any]
    rejected: dict[str, Tally]
    unpaired: dict[str, Tally]
    unlabelled: dict[str, Tally]
    digest: str
    licences: list[str]


def prepare(
    colors: Path,
    output: Path,
    lines: Path | None = None,
    *,
    seed: int = 0,
    fractions: Sequence[float] = (0.7, 0.2, 0.1),
    limits: Limits | None = None,
    table: Path | None = None,
    label: str | None = None,
    pen: str = PENS[0],
    progress: Progress | None = None,
) -> Prepared:
    """Makes a dataset of the drawings in a folder and its subfolders.

    `output` gets `drawings.parquet`, with the columns name, split, group, label, origin, width, height, line and color
    (images as PNG of the original size, in the {bytes, path} form of Hugging Face `datasets`), `dataset.json`,
    `report.html`, a page to look at before anything is trained, and the licence files found in the folders and their
    parents. It appears whole or not at all. Files that cannot be used are counted by reason. Of each drawing only its
    names and some measures stay in memory. The result depends on names, contents and arguments, not on the order in
    which the file system lists files.

    Args:
        colors: folder of coloured drawings.
        output: folder to make; nothing may be there yet.
        lines: folder of their line art, paired by relative path without suffix. None: lines are drawn from
            the colours.
        seed: of the shuffle that decides on splits, and of mixed pens.
        fractions: of train, val and test; positive, of sum 1. Drawings of one group go to one split, so the fractions
            are met as closely as that allows.
        limits: what drawings have to keep; None: the defaults.
        table: a CSV file with labels of the drawings, see `preparing.table.read_labels`. Every split gets its share of
            each label.
        label: the column of the table that holds them.
        pen: style of the lines that are drawn from colours: "dilation", "xdog", "threshold", or "mixed": one of them
            for each drawing, by its name and the seed.
        progress: called with (pairs done, pairs in all) after each pair.

    Raises:
        PrepareError: the arguments are wrong, `output` exists, or too few drawings can be used.
    """
    limits = limits or Limits()
    check_folders(colors, output, lines, fractions)
    check_choices(lines, table, label, pen)
    pairing = pair_drawings(colors, lines)
    if not pairing.pairs:
        raise PrepareError(no_pair(pairing, colors, lines))
    labels = None if table is None else read_labels(table, label, (pair.name for pair in pairing.pairs))
    rejections = Rejections(pairing.rejected)
    made_from = {
        "seed": seed,
        "fractions": list(fractions),
        "source": {"colors": _named(colors), "lines": None if lines is None else _named(lines)},
        "pen": pen if lines is None else None,
        "label": label,
        "limits": asdict(limits),
    }
    with _appearing_whole(output) as folder:
        scratch = folder / "scratch.parquet"
        encoded = encode_all(pairing.pairs, scratch, rejections, limits, partial(_pen_for, pen, seed), progress)
        check_usable(encoded, pairing, colors)
        try:
            shares = dict(zip(SPLITS, fractions, strict=True))
            assignment = assign(encoded, labels.of if labels else {}, limits, shares, seed)
        except ValueError as error:
            raise PrepareError(f"{colors} is too small a collection: {error}{passed_over(pairing)}.") from error
        shown = _Shown.of(assignment, seed)
        seen = write_dataset(scratch, folder / DRAWINGS_FILE, assignment, shown.rows())
        scratch.unlink()
        for row in assignment.left_out():
            about = f"looks like {encoded.names[assignment.first_alike[row]]}"
            rejections.add(Unfit.NEAR_COPY, Example(encoded.names[row], about, seen.squares.get(row)))
        prepared = Prepared(
            folder=output,
            counts={split: int((assignment.splits == split).sum()) for split in SPLITS},
            groups=int(assignment.groups.max()) + 1,
            alike=sum(map(len, assignment.alike())),
            labels=assignment.label_counts(SPLITS),
            statistics=statistics(seen.values["train"], encoded.measures["density"][assignment.splits == "train"]),
            rejected=pairing.rejected,
            unpaired=pairing.unpaired,
            unlabelled={} if labels is None else {"drawings": labels.without_row, "rows": labels.without_drawing},
            digest=sha256_of(folder / DRAWINGS_FILE),
            licences=_copy_licences([colors] if lines is None else [colors, lines], folder),
        )
        _describe(prepared, folder, made_from)
        findings = _findings(prepared, made_from, encoded, assignment, seen, shown, rejections)
        (folder / REPORT_FILE).write_text(page(findings), encoding="utf-8")
    return prepared


class _Shown(NamedTuple):
    """Rows whose pictures are on the page: samples of each split, groups of several, what was left out last."""

    samples: dict[str, list[int]]
    families: list[list[int]]
    left_out: list[int]

    @classmethod
    def of(cls, assignment: Assignment, seed: int) -> "_Shown":
        families = assignment.alike()[:_FAMILIES]
        return cls(assignment.samples(_SAMPLES, seed), families, assignment.left_out()[:EXAMPLES])

    def rows(self) -> set[int]:
        return {*chain(*self.samples.values(), *(rows[:_OF_A_FAMILY] for rows in self.families)), *self.left_out}


def _findings(
    prepared: Prepared,
    made_from: dict[str, Any],
    encoded: Encoded,
    assignment: Assignment,
    seen: Seen,
    shown: _Shown,
    rejections: Rejections,
) -> Findings:
    def pictures(rows: Sequence[int]) -> list[Example]:
        return [Example(encoded.names[row], assignment.labels[row], seen.squares[row]) for row in rows]

    return Findings(
        name=made_from["source"]["colors"],
        made=_told(made_from),
        counts=prepared.counts,
        labels=prepared.labels,
        groups=prepared.groups,
        alike=prepared.alike,
        statistics=prepared.statistics,
        values=seen.values,
        measures=encoded.measures[assignment.splits != ""],
        samples={split: pictures(shown.samples[split]) for split in SPLITS},
        families=[(len(rows), pictures(rows[:_OF_A_FAMILY])) for rows in shown.families],
        rejections=rejections,
        others=_others(prepared),
    )


def _named(folder: Path) -> str:
    return printable(folder.resolve().name)


def _pen_for(pen: str, seed: int, name: str) -> str:
    """The style for a drawing; of mixed ones by its name, so that it does not depend on the others."""
    if pen != MIXED:
        return pen
    return PENS[hashlib.sha256(f"{seed}/{name}".encode()).digest()[0] % len(PENS)]


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


def _copy_licences(folders: list[Path], target: Path) -> list[str]:
    copied = side_by_side(licences(folders))
    for name, content in copied.items():
        (target / name).write_bytes(content)
    return sorted(copied)


def _describe(prepared: Prepared, folder: Path, made_from: dict[str, Any]) -> None:
    def counted(tallies: dict[str, Tally]) -> dict[str, Any]:
        return {reason: [tally.count, tally.examples] for reason, tally in tallies.items()}

    description = {
        "format": FORMAT,
        "version": VERSION,
        "counts": prepared.counts,
        "groups": prepared.groups,
        "alike": prepared.alike,
        **({"labels": prepared.labels} if prepared.labels else {}),
        "statistics": prepared.statistics,
        "rejected": counted(prepared.rejected),
        "unpaired": counted(prepared.unpaired),
        **({"unlabelled": counted(prepared.unlabelled)} if prepared.unlabelled else {}),
        **made_from,
        "digest": prepared.digest,
        "licences": prepared.licences,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")


def _told(made_from: dict[str, Any]) -> list[str]:
    """How the dataset was made, in sentences."""
    source = made_from["source"]
    lines = f"from {source['lines']}" if source["lines"] else f"drawn from the colours, pen: {made_from['pen']}"
    limits = ", ".join(f"{name} {value}" for name, value in made_from["limits"].items() if value)
    shares = "/".join(f"{100 * fraction:g}" for fraction in made_from["fractions"])
    return [f"Line art {lines}.", f"Split {shares} with seed {made_from['seed']}.", f"Limits: {limits}."]


def _others(prepared: Prepared) -> dict[str, Tally]:
    """What was not used and needs no picture, in words."""
    told = {f"{kind} without a partner of its name": tally for kind, tally in prepared.unpaired.items()}
    if prepared.unlabelled:
        told["row of the table without a drawing"] = prepared.unlabelled["rows"]
        told["drawing without a row in the table (has no label)"] = prepared.unlabelled["drawings"]
    return told
