"""The main job on the real drawings, where they are at hand: beside the checkout, or where HUETUNE_DRAWINGS says."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from ray import tune
from typer.testing import CliRunner

from colorizer.prepare import prepare
from colorizer.trial import ColorizerTrial
from search import Random, Search
from search.cli import add_workload_commands, app

BESIDE = Path(__file__).parents[2] / "shared" / "data" / "openmoji"
DRAWINGS = Path(os.environ.get("HUETUNE_DRAWINGS", BESIDE))

pytestmark = [
    pytest.mark.skipif(not DRAWINGS.is_dir(), reason="no real drawings beside the checkout or in HUETUNE_DRAWINGS"),
    pytest.mark.usefixtures("cluster"),
]

add_workload_commands()


def huetune(*arguments: Any) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_from_real_drawings_to_an_ensemble_a_report_and_a_coloured_picture(tmp_path: Path) -> None:
    prepared = prepare(DRAWINGS / "color", tmp_path / "dataset", DRAWINGS / "line")
    total = sum(prepared.counts.values())
    assert total == len(list((DRAWINGS / "color").iterdir()))
    assert prepared.counts["train"] == pytest.approx(0.7 * total, abs=2)
    assert prepared.licences == ["LICENSE.txt"]

    space = {
        "data": str(tmp_path / "dataset"),
        "lr_g": tune.loguniform(1e-3, 6e-3),
        "norm": tune.choice(["batch", "none"]),
        "size": 32,
        "channels": 8,
        "levels": 3,
        "schedule": "constant",
        "steps_per_report": 30,
        "total_reports": 2,
    }
    search = Search(
        trainable=ColorizerTrial, space=space, metric="psnr", mode="max", trials=4, iterations=2, method=Random()
    )
    run = search.run("real", str(tmp_path)).folder.root
    assert "ships:" in huetune("ensemble", run)
    scores = pd.read_parquet(Path(run, "ensemble", "scores.parquet")).set_index("method")
    assert scores.loc["best_single", "psnr"] > 13  # the lines alone have less
    assert scores.loc[scores["ships"], "gain_psnr"].item() >= 0
    assert "report.html" in huetune("report", run)

    line = sorted((DRAWINGS / "line").iterdir())[0]
    huetune("colorize", run, line, "-o", tmp_path / "colored")
    with Image.open(tmp_path / "colored" / f"{line.stem}.png") as colored, Image.open(line) as drawing:
        assert colored.size == drawing.size
        assert colored.mode == "RGB"
