"""What tests of several rooms share: a local Ray cluster, a small dataset, a cache that the user never sees."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A local Ray cluster of 2 CPUs; runs of the tests join it."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Decoded drawings of the tests lie in a folder of their own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUETUNE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, private_cache: Path) -> Path:
    """40 drawings of the character as a dataset of 28, 8 and 4."""
    from colorizer.drawings import draw_characters
    from colorizer.prepare import prepare

    folder = tmp_path_factory.mktemp("drawings")
    for part in ("color", "line"):
        (folder / part).mkdir()
    for drawing in draw_characters(40, size=32):
        Image.fromarray(drawing.color).save(folder / "color" / f"{drawing.name}.png")
        Image.fromarray(drawing.line).save(folder / "line" / f"{drawing.name}.png")
    prepare(folder / "color", folder / "dataset", folder / "line")
    return folder / "dataset"
