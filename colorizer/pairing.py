"""Which files of two folders belong together, and what was passed over. Looks at names and links, opens no file
but licences."""

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

from colorizer.images import SUFFIXES, Reason

LINK_OUT = "link out of the folder"
LINKED_FOLDER = "link to a folder"
SAME_NAME = "second file of one name"

_EXAMPLES = 5
_LICENCE = re.compile(r"(licen[cs]e|copying)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Tally:
    """How many, and the names of the first few."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.examples) else ""
        return f"{self.count} ({', '.join(self.examples)}{more})" if self.count else "0"

    def plus(self, name: str) -> "Tally":
        """One more; names with bytes that are no UTF-8 are kept with escapes, which JSON can hold."""
        return Tally(self.count + 1, [*self.examples, printable(name)][:_EXAMPLES])


class Pair(NamedTuple):
    """A coloured drawing and its line art. The name is the relative path without suffix."""

    name: str
    color: Path
    line: Path | None


@dataclass(frozen=True)
class Pairing:
    """The files of two folders, or of one whose line art is yet to be drawn.

    Attributes:
        pairs: sorted by name.
        rejected: reason -> files passed over.
        unpaired: "color" and "line" -> images without a partner in the other folder.
    """

    pairs: list[Pair]
    rejected: dict[str, Tally]
    unpaired: dict[str, Tally]


def pair_drawings(colors: Path, lines: Path | None) -> Pairing:
    """Pairs the images of two folders by relative path without suffix; without `lines`, each stands alone.

    Hidden files and licences are left out, other files than images are rejected by their suffix. Links that
    lead out of their folder, and links to folders, are rejected and not followed.
    """
    rejected: dict[str, Tally] = {}
    colored = _scan(colors, rejected)
    if lines is None:
        pairs = [Pair(name, colors / colored[name], None) for name in sorted(colored)]
        return Pairing(pairs, rejected, {"color": Tally(), "line": Tally()})
    drawn = _scan(lines, rejected)
    names = sorted(colored.keys() & drawn.keys())
    return Pairing(
        [Pair(name, colors / colored[name], lines / drawn[name]) for name in names],
        rejected,
        {"color": _others(colored, names), "line": _others(drawn, names)},
    )


def licences(folders: Iterable[Path]) -> list[Path]:
    """The licence files in these folders and their parents, as far as these may be listed, each once."""
    real = [folder.resolve() for folder in folders]
    found = []
    for place in dict.fromkeys([*real, *(folder.parent for folder in real)]):
        with suppress(PermissionError):
            found += [
                path
                for path in sorted(place.iterdir())
                if _LICENCE.match(path.name) and path.is_file() and not path.is_symlink()
            ]
    return found


def side_by_side(files: Iterable[Path], given: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """Names under which licence files of several folders can lie in one, and what is in them.

    Args:
        files: of one name and content, one is kept; of one name and other contents, the later ones are called after
            their folders.
        given: those that lie there already, under the names that they keep.
    """
    named = dict(given or {})
    for path in files:
        content, name, folder = path.read_bytes(), printable(path.name), printable(path.parent.name)
        numbered = (f"{folder}-{number}-{name}" for number in count(2))
        ways = chain((name, f"{folder}-{name}"), numbered)
        named[next(way for way in ways if named.get(way, content) == content)] = content
    return named


def printable(name: str) -> str:
    """The name with bytes that are no UTF-8 written as escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _scan(root: Path, rejected: dict[str, Tally]) -> dict[str, str]:
    """Name -> relative path of the images in a folder and its subfolders."""
    inside = os.path.realpath(root)
    found: dict[str, str] = {}

    def reject(path: str, reason: str) -> None:
        rejected[reason] = rejected.get(reason, Tally()).plus(f"{root.name}/{os.path.relpath(path, root)}")

    for folder, subfolders, files in os.walk(root, onerror=lambda e: reject(e.filename, Reason.CANNOT_OPEN)):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in subfolders:
            if os.path.islink(path := os.path.join(folder, name)):
                reject(path, LINKED_FOLDER)
        for file in sorted(files):
            if file.startswith(".") or _LICENCE.match(file):
                continue
            path = os.path.join(folder, file)
            relative = Path(path).relative_to(root)
            # Two systems may spell one accented letter in two ways.
            name = unicodedata.normalize("NFC", printable(relative.with_suffix("").as_posix()))
            if os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(inside):
                reject(path, LINK_OUT)
            elif relative.suffix.lower() not in SUFFIXES:
                reject(path, Reason.NOT_AN_IMAGE)
            elif name in found:
                reject(path, SAME_NAME)
            else:
                found[name] = str(relative)
    return found


def _others(files: Mapping[str, str], paired: Iterable[str]) -> Tally:
    tally = Tally()
    for name in sorted(files.keys() - set(paired)):
        tally = tally.plus(files[name])
    return tally
