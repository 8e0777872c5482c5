"""What `prepare` refuses, and in which words."""

import os
from collections.abc import Sequence
from pathlib import Path

from colorizer.dataset import SPLITS
from colorizer.images import SUFFIXES
from colorizer.pairing import Pairing
from colorizer.preparing import PrepareError
from colorizer.preparing.first_pass import Encoded

PENS = ("dilation", "xdog", "threshold")
MIXED = "mixed"

_GREY = 1.0  # on the scale of colourfulness: less is no colour that anybody sees


def check_folders(colors: Path, output: Path, lines: Path | None, fractions: Sequence[float]) -> None:
    """Refuses folders that are missing or the same, an output that exists, and wrong fractions."""
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


def check_choices(lines: Path | None, table: Path | None, label: str | None, pen: str) -> None:
    """Refuses an unknown pen, and options that mean nothing without another."""
    if pen not in (*PENS, MIXED):
        raise PrepareError(f"Expected a pen out of {', '.join((*PENS, MIXED))}, got {pen!r}.")
    if lines is not None and pen != PENS[0]:
        raise PrepareError(
            f"Expected a pen only where lines are drawn from the colours, got {pen!r} beside the line art in {lines}."
            " Leave out one of them."
        )
    if label is not None and table is None:
        raise PrepareError(f"Expected a table beside the label {label!r}, got none. Name the CSV file that has it.")


def no_pair(pairing: Pairing, colors: Path, lines: Path | None) -> str:
    """What to tell where no drawing has a partner."""
    counts = pairing.unpaired
    if lines is None or not (counts["color"].count and counts["line"].count):
        empty = colors if lines is None or not counts["color"].count else lines
        suffixes = " ".join(sorted(SUFFIXES))
        return f"There is no drawing in {empty}{passed_over(pairing)}. Expected images: {suffixes}."
    return (
        f"No drawing in {colors} has its line art in {lines}; without a partner are {counts['color']} of the former "
        f"and {counts['line']} of the latter"
        f"{passed_over(pairing)}. Names must match but for the suffix, subfolders included: "
        f"{colors.name}/cat/1.png goes with {lines.name}/cat/1.png."
    )


def check_usable(encoded: Encoded, pairing: Pairing, colors: Path) -> None:
    """Refuses a collection of which nothing is left, or nothing with colours."""
    if not encoded.names:
        raise PrepareError(f"None of the {len(pairing.pairs)} drawings in {colors} can be used{passed_over(pairing)}.")
    if not encoded.measures["colourfulness"].max() >= _GREY:
        raise PrepareError(
            f"Expected colours in {colors}, but all of the {len(encoded.names)} drawings that can be used are grey."
            " Is it the folder of line art? It goes to --lines."
        )


def passed_over(pairing: Pairing) -> str:
    """The reasons for which files were passed over, in brackets, or nothing."""
    reasons = "; ".join(f"{reason}: {tally}" for reason, tally in pairing.rejected.items())
    return f" (passed over: {reasons})" if reasons else ""
