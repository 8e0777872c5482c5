"""Where the coloured version of each drawing goes, so that none takes the place of another, and how it gets there."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image


def output_files(images: Sequence[Path], folder: Path) -> list[Path]:
    """A PNG file in `folder` for each drawing, under its name without the suffix.

    Where two would be one, as with a/1.png and b/1.png, all lie in folders as the drawings do, below the one that holds
    all of them; where that is not enough, as with 1.png and 1.jpg, they keep their suffixes too.

    Raises:
        ValueError: a drawing would be overwritten.
    """
    places = [Path(os.path.abspath(image)) for image in images]
    root = os.path.commonpath([place.parent for place in places]) if places else ""
    ways: tuple[Callable[[Path], Path], ...] = (
        lambda place: Path(f"{place.stem}.png"),
        lambda place: place.relative_to(root).with_name(f"{place.stem}.png"),
        lambda place: place.relative_to(root).with_name(f"{place.name}.png"),
    )
    different = len(set(places))
    for way in ways:
        names = [way(place) for place in places]
        # Some disks do not tell A.png from a.png.
        if len({str(name).lower() for name in names}) == different:
            break
    files = [folder / name for name in names]
    drawings = {_identity(place) for place in places if place.exists()}
    for image, file in zip(images, files, strict=True):
        if file.exists() and _identity(file) in drawings:
            raise ValueError(
                f"Expected another folder than that of the drawings, but {file} is one of them, and {image} would take"
                " its place. Choose another with -o."
            )
    return files


def _identity(file: Path) -> tuple[int, int]:
    """What two names of one file have in common."""
    status = file.stat()
    return status.st_dev, status.st_ino


def save_whole(image: Image.Image, file: Path) -> None:
    """Save a picture as a PNG that is there whole or not at all; folders are made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        image.save(half, format="PNG")
        os.replace(half, file)
    finally:
        half.unlink(missing_ok=True)
