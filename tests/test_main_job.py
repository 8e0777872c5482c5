"""The main job from end to end: on embedded drawings everywhere, on real ones where they are at hand.

Real ones are looked for beside the checkout, or where HUETUNE_DRAWINGS says.
"""

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from ray import tune
from typer.testing import CliRunner

from colorizer.trial import ColorizerTrial
from search import Random, Results, Search
from search.cli import add_workload_commands, app

BESIDE = Path(__file__).parents[2] / "shared" / "data" / "openmoji"
REAL = Path(os.environ.get("HUETUNE_DRAWINGS", BESIDE))

pytestmark = pytest.mark.usefixtures("cluster")

add_workload_commands()


def huetune(*arguments: Any) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def small_search(dataset: Path, **settings: Any) -> Search:
    space = {
        "data": str(dataset),
        "lr_g": tune.loguniform(1e-3, 6e-3),
        "norm": tune.choice(["batch", "none"]),
        "size": 32,
        "channels": 8,
        "levels": 3,
        "schedule": "constant",
        "steps_per_report": 30,
        "total_reports": 2,
        **settings,
    }
    return Search(
        trainable=ColorizerTrial, space=space, metric="psnr", mode="max", trials=4, iterations=2, method=Random()
    )


def test_embedded_drawings_become_an_ensemble_that_leaves_out_a_flipped_byte(tmp_path: Path) -> None:
    huetune("draw", "-o", tmp_path / "drawings", "--count", 60, "--size", 32)
    huetune("prepare", tmp_path / "drawings/color", "--lines", tmp_path / "drawings/line", "-o", tmp_path / "dataset")
    results = small_search(tmp_path / "dataset").run("embedded", str(tmp_path))
    run = results.folder.root

    damaged = Path(results.folder.inside(str(results.best.checkpoint))) / "generator.safetensors"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    said = huetune("ensemble", run)
    assert "set aside" in said
    assert "generator.safetensors is damaged: expected SHA-256" in said
    built = results.ensemble()
    assert built is not None
    assert results.best.trial_id not in {member["trial_id"] for member in built["members"]}
    assert built["set_aside"][0]["trial_id"] == results.best.trial_id

    assert "report.html" in huetune("report", run)
    page = Path(run, "report.html").read_text()
    assert "character-" in page
    sketch = tmp_path / "sketch.png"
    Image.new("L", (301, 47), 255).save(sketch)
    for model in (run, f"{run}/ensemble", f"{run}/{results.top(2)[1].checkpoint}"):
        huetune("colorize", model, sketch, "-o", tmp_path / "colored")
        with Image.open(tmp_path / "colored" / "sketch.png") as colored:
            assert colored.size == (301, 47)


def test_members_are_trained_again_on_the_cluster_and_a_mean_is_exported(dataset: Path, tmp_path: Path) -> None:
    run = small_search(dataset, steps_per_report=5).run("again", str(tmp_path)).folder.root
    said = huetune("ensemble", run, "--top", 2, "--methods", "mean,ridge", "--folds", 2, "--student", "--ship", "mean")
    assert "ships: mean (asked for" in said
    assert {"stacked_ridge", "stacked_nonnegative", "student"} <= set(said.split())
    assert len(list(Path(run, "parts", "2-folds").iterdir())) == 4
    assert "differs from the original by" in huetune("export", run, "-o", tmp_path / "mean.onnx")
    assert (tmp_path / "mean.onnx").stat().st_size > 1000

    refused = CliRunner().invoke(app, ["ensemble", run, "--methods", "men"])
    assert refused.exit_code == 1
    assert "Did you mean 'mean'?" in refused.output


@pytest.mark.skipif(not REAL.is_dir(), reason="no real drawings beside the checkout or in HUETUNE_DRAWINGS")
def test_real_drawings_become_an_ensemble_a_report_and_a_coloured_picture(tmp_path: Path) -> None:
    said = huetune("prepare", REAL / "color", "--lines", REAL / "line", "-o", tmp_path / "dataset")
    assert re.search(r"\b1640 drawings in .*: 1148 train, 328 val, 164 test", said.replace("\n", " "))
    assert "too intricate: 3" in said
    assert (tmp_path / "dataset" / "LICENSE.txt").is_file()

    run = small_search(tmp_path / "dataset").run("real", str(tmp_path)).folder.root
    assert "ships:" in huetune("ensemble", run)
    scores = pd.read_parquet(Path(run, "ensemble", "scores.parquet")).set_index("method")
    assert scores.loc["best_single", "psnr"] > 13  # the lines alone have less
    assert Results(run).ensemble() is not None
    assert "report.html" in huetune("report", run)

    line = sorted((REAL / "line").iterdir())[0]
    huetune("colorize", run, line, "-o", tmp_path / "colored")
    with Image.open(tmp_path / "colored" / f"{line.stem}.png") as colored, Image.open(line) as drawing:
        assert colored.size == drawing.size
        assert colored.mode == "RGB"
