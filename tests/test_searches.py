"""The definitions that users copy: each builds from its options, and the model of one's own really is tuned."""

from pathlib import Path

import pytest

from search.definition_file import DefinitionFile

SEARCHES = Path(__file__).parents[1] / "searches"


@pytest.mark.parametrize("name", ["demo", "quick", "thorough", "pix2pix"])
def test_a_search_of_the_colorizer_is_made_of_known_hyperparameters(name: str, dataset: Path) -> None:
    from colorizer.config import TrainingConfig

    search = DefinitionFile.load(SEARCHES / f"{name}.py").build(data=str(dataset))
    space = search.axes
    config = space.config({axis.name: axis.label(_first(axis)) for axis in space.axes})
    assert config.pop("data") == str(dataset)
    assert TrainingConfig.from_dict(config).total_reports == search.iterations


@pytest.mark.usefixtures("cluster")
def test_a_model_of_ones_own_is_tuned(tmp_path: Path) -> None:
    search = DefinitionFile.load(SEARCHES / "custom_model.py").build(trials=4, epochs=3)
    results = search.run("spirals", str(tmp_path))
    assert results.best.score > 0.5
    assert (Path(results.folder.inside(str(results.best.checkpoint))) / "model.pt").is_file()


def _first(axis: object) -> object:
    return axis.values[0] if hasattr(axis, "values") else axis.low  # type: ignore[attr-defined]
