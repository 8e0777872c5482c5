"""A small dataset of embedded drawings, prepared once."""

from pathlib import Path

import pytest
from PIL import Image

from colorizer.drawings import draw_characters
from colorizer.prepare import prepare


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, private_cache: Path) -> Path:
    """40 drawings of the character as a dataset of 28, 8 and 4."""
    folder = tmp_path_factory.mktemp("drawings")
    for part in ("color", "line"):
        (folder / part).mkdir()
    for drawing in draw_characters(40, size=32):
        Image.fromarray(drawing.color).save(folder / "color" / f"{drawing.name}.png")
        Image.fromarray(drawing.line).save(folder / "line" / f"{drawing.name}.png")
    prepare(folder / "color", folder / "dataset", folder / "line")
    return folder / "dataset"
