"""A run, a dataset or a checkpoint of a stranger runs no code when it is read, listed, reported or made an ensemble."""

import io
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from ray import tune
from typer.testing import CliRunner

from colorizer.trial import ColorizerTrial
from search import Random, Search
from search.cli import add_workload_commands, app

pytestmark = pytest.mark.usefixtures("cluster")

add_workload_commands()


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.write_text, (self.mark, "boom")


def bombs(mark: Path) -> dict[str, bytes]:
    """A pickle in the wrappings that readers know, each seen to go off."""
    torch_file, numpy_file = io.BytesIO(), io.BytesIO()
    torch.save({"generator": Bomb(mark)}, torch_file)
    np.save(numpy_file, np.array([Bomb(mark)], dtype=object), allow_pickle=True)
    found = {"plain": pickle.dumps(Bomb(mark)), "torch": torch_file.getvalue(), "numpy": numpy_file.getvalue()}
    readers = {
        "plain": pickle.loads,
        "torch": lambda content: torch.load(io.BytesIO(content), weights_only=False),
        "numpy": lambda content: np.load(io.BytesIO(content), allow_pickle=True),
    }
    for kind, content in found.items():
        readers[kind](content)
        assert mark.exists()
        mark.unlink()
    return found


@pytest.fixture(scope="module")
def made(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an ensemble, `run`, and the dataset it was made with, `data`."""
    root = tmp_path_factory.mktemp("made")
    shutil.copytree(dataset, root / "data")
    small = {"size": 32, "channels": 8, "levels": 3, "schedule": "constant", "steps_per_report": 5, "total_reports": 2}
    search = Search(
        trainable=ColorizerTrial,
        space={"data": str(root / "data"), "lr_g": tune.loguniform(1e-3, 6e-3), **small},
        metric="psnr",
        mode="max",
        trials=2,
        iterations=2,
        method=Random(),
    )
    search.run("run", str(root))
    assert CliRunner().invoke(app, ["ensemble", str(root / "run"), "--top", "2"]).exit_code == 0
    Image.new("L", (32, 32), 255).save(root / "line.png")
    return root


def use(root: Path, *, again: bool) -> Iterator[Any]:
    """Everything that reads a run."""
    run = str(root / "run")
    if again:
        shutil.rmtree(root / "run" / "ensemble")
        yield CliRunner().invoke(app, ["ensemble", run, "--top", "2", "--data", str(root / "data")])
    yield CliRunner().invoke(app, ["results", run])
    yield CliRunner().invoke(app, ["report", run, "--data", str(root / "tables")])
    yield CliRunner().invoke(app, ["colorize", run, str(root / "line.png"), "-o", str(root / "coloured")])


def kinds(root: Path) -> dict[str, Path]:
    """One file of every kind in a run and its dataset, by a name that says which."""
    found = {}
    for path in sorted(path for part in ("run", "data") for path in (root / part).rglob("*") if path.is_file()):
        if path.suffix not in {".txt", ".log", ".html", ".lock"} and "tune" not in path.parts:
            found["/".join(part for part in path.relative_to(root).parts if not part[0].isdigit())] = path
    return found


def test_files_beside_what_is_read_are_left_alone(made: Path, tmp_path: Path) -> None:
    root, mark = tmp_path / "copy", tmp_path / "went-off"
    shutil.copytree(made, root)
    content = bombs(mark)["plain"]
    planted = [path for path in (root / "run" / "tune").rglob("*") if path.is_file()]
    assert planted  # Ray Tune's own pickles among them
    folders = [path for path in root.rglob("*") if path.is_dir()]
    for path in [*planted, *(folder / "data.pkl" for folder in folders)]:
        path.write_bytes(content)
    for result in use(root, again=False):
        assert not mark.exists()
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output


@pytest.mark.parametrize("wrapping", ["plain", "torch", "numpy"])
def test_a_pickle_in_place_of_any_file_is_not_opened(made: Path, tmp_path: Path, wrapping: str) -> None:
    root, mark = tmp_path / "copy", tmp_path / "went-off"
    shutil.copytree(made, root)
    content = bombs(mark)[wrapping]
    names = kinds(root)
    assert {"run/search.json", "run/trials.parquet", "data/drawings.parquet"} < names.keys()
    assert any(name.endswith("generator.safetensors") for name in names)
    for name, path in names.items():
        true = path.read_bytes()
        path.write_bytes(content)
        for result in use(root, again=False):
            assert not mark.exists(), f"{name} was executed"
            assert result.exception is None or isinstance(result.exception, SystemExit), (name, result.exc_info)
        path.write_bytes(true)


def test_an_ensemble_of_checkpoints_that_are_pickles_is_refused(made: Path, tmp_path: Path) -> None:
    root, mark = tmp_path / "copy", tmp_path / "went-off"
    shutil.copytree(made, root)
    for path in (root / "run" / "checkpoints").rglob("*.safetensors"):
        path.write_bytes(bombs(mark)["torch"])
    first, *_ = use(root, again=True)
    assert not mark.exists()
    assert first.exit_code == 1
    assert isinstance(first.exception, SystemExit)
