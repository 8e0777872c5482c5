"""Ensembles of real colorizers: soups, snapshots, models trained on parts, students."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from colorizer.config import TrainingConfig
from colorizer.dataset import Dataset
from colorizer.training import Trainer
from ensembles import Candidate, Ensemble, Trained, build, load

SIZE = 16
BASELINES = {"baseline: line_copied", "baseline: mean_image"}  # stand beside all methods


@pytest.fixture(scope="module")
def candidates(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Candidate]:
    """Two trials of one architecture with two snapshots each, and one of another."""
    folder = tmp_path_factory.mktemp("trials")
    opened = Dataset.open(dataset)
    train = opened.split("train", SIZE)
    found = []
    for trial, channels in (("a", 4), ("b", 4), ("c", 6)):
        config = TrainingConfig(
            channels=channels,
            levels=2,
            discriminator_channels=4,
            discriminator_layers=1,
            size=SIZE,
            steps_per_report=10,
            total_reports=2,
            schedule="constant",
            seed=ord(trial),
        )
        trainer = Trainer(config, train, data={"path": str(opened.folder), "digest": opened.digest})
        snapshots = []
        for report in (1, 2):
            trainer.train(config.steps_per_report)
            trainer.save(folder / f"{trial}{report}")
            snapshots.append(Candidate(folder / f"{trial}{report}", trial, report, f"runs/x/{trial}{report}"))
        found += snapshots[::-1]
    return found


def test_snapshots_make_averages_along_each_trial(candidates: list[Candidate], tmp_path: Path) -> None:
    report = build(candidates, tmp_path / "e", methods=["best_single_swa", "mean_swa", "mean"])
    members = report.scores.set_index("method")["members"]
    expected = {"best_single": 1, "best_single_swa": 1, "mean_swa": 3, "mean": 6}
    assert members.to_dict() == expected | dict.fromkeys(BASELINES, 0)
    assert report.scores["psnr"].nunique() == 6


def test_soups_are_made_where_architectures_agree(candidates: list[Candidate], tmp_path: Path) -> None:
    report = build(candidates, tmp_path / "e", methods=["soups"])
    soups = {"best_single", "soup", "greedy_soup", "soup_fresh", "greedy_soup_fresh"}
    rows = report.scores.set_index("method")
    assert set(rows.index) == soups | BASELINES
    assert rows["val_psnr"].notna().to_dict() == dict.fromkeys(soups, True) | dict.fromkeys(BASELINES, False)
    assert rows.loc["soup", "parameters"] == rows.loc["best_single", "parameters"]


def test_soups_of_different_architectures_are_refused_with_the_shapes(
    candidates: list[Candidate], tmp_path: Path
) -> None:
    report = build([candidates[0], candidates[4]], tmp_path / "e", methods=["soups"])
    assert "float32 (4, 1, " in report.unsuited["soup"]
    assert "float32 (6, 1, " in report.unsuited["soup"]


def test_second_levels_are_fitted_to_what_members_had_not_seen(candidates: list[Candidate], tmp_path: Path) -> None:
    trials = candidates[::2]
    trained = Trained(folds=2, blend=0.3, student=True, folder=tmp_path / "parts")
    report = build(trials, tmp_path / "e", methods=["mean"], trained=trained)
    levels = {f"{kind}_{level}" for kind in ("stacked", "blended") for level in ("ridge", "nonnegative", "simplex_log")}
    rows = report.scores.set_index("method")
    assert set(rows.index) == {"best_single", "mean", "student"} | levels | BASELINES
    assert rows.drop(list(BASELINES))["val_psnr"].notna().all()
    assert len(list((tmp_path / "parts" / "2-folds").iterdir())) == 3 * 2
    assert len(list((tmp_path / "parts" / "blend").iterdir())) == 3

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").glob("*/*/checkpoint.json")}
    again = build(trials, tmp_path / "again", methods=["mean"], trained=trained)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").glob("*/*/checkpoint.json")}
    told_by_clock = ["ms_per_example", "memory_mib", "frontier"]
    pd.testing.assert_frame_equal(again.scores.drop(columns=told_by_clock), report.scores.drop(columns=told_by_clock))


def test_what_ships_colours_as_it_was_scored(candidates: list[Candidate], tmp_path: Path) -> None:
    report = build(candidates[::2], tmp_path / "e", methods=["mean", "ridge", "vivid", "votes", "medoid_region"])
    ensemble = load(tmp_path / "e")
    assert isinstance(ensemble, Ensemble)
    scores = [ensemble.scores(ensemble(batch.inputs), batch.targets)["psnr"] for batch in ensemble.batches("test")]
    shipped = report.scores.set_index("method").loc[report.method]
    assert np.concatenate(scores).mean() == pytest.approx(shipped["psnr"], abs=1e-4)
