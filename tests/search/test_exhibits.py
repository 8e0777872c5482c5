"""Which checkpoints of a run stand side by side in its report."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from search.ensemble_command import exhibits
from search.results import Results


def written(folder: Path, trials: list[dict[str, Any]]) -> Results:
    """A run with these trials, in their order."""
    folder.mkdir()
    definition = {"format": "huetune-run", "version": 1, "metric": "psnr", "mode": "max"}
    (folder / "search.json").write_text(json.dumps(definition))
    rows = [
        {
            "trial_id": f"t{number}",
            "number": number,
            "status": "finished",
            "config": "{}",
            "iterations": 9,
            "checkpoint_iteration": 9,
            "reason": None,
            "configuration": number,
        }
        | trial
        for number, trial in enumerate(trials, 1)
    ]
    pd.DataFrame(rows).to_parquet(folder / "trials.parquet")
    return Results(folder)


def scored(score: float, kept: bool = True, iterations: tuple[int, ...] = ()) -> dict[str, Any]:
    snapshots = [{"path": f"checkpoints/{score}-{n}", "iteration": n, "score": score} for n in iterations]
    path = f"checkpoints/{score}" if kept else None
    return {"score": score, "checkpoint": path, "snapshots": json.dumps(snapshots)}


def of(run: Results, strip: str) -> list[tuple[str, int]]:
    return [(one.trial_id, one.iteration) for one in exhibits(run) if one.strip == strip]


def test_trials_are_shown_best_to_worst_evenly_by_rank_among_those_that_kept_a_checkpoint(tmp_path: Path) -> None:
    trials = [scored(float(score), kept=score % 2 == 0) for score in range(31)]
    shown = [int(trial[1:]) - 1 for trial, _ in of(written(tmp_path / "run", trials), "trials")]

    assert shown == [30, 26, 22, 18, 12, 8, 4, 0]


def test_iterations_of_the_best_trial_come_earliest_first(tmp_path: Path) -> None:
    run = written(tmp_path / "run", [scored(1.0, iterations=(1,)), scored(2.0, iterations=(6, 3)), scored(1.5)])

    assert of(run, "iterations") == [("t2", 3), ("t2", 6), ("t2", 9)]
    paths = [one.fetch() for one in exhibits(run) if one.strip == "iterations"]
    with paths[0] as first:
        assert first == tmp_path / "run" / "checkpoints" / "2.0-3"


def test_the_best_trial_is_the_winner_of_a_retest_and_not_the_luckiest(tmp_path: Path) -> None:
    lucky = scored(9.0, iterations=(3,)) | {"reason": "model", "configuration": 1}
    again = [scored(score, iterations=(4,)) | {"reason": "retest", "configuration": 2} for score in (5.0, 5.5)]
    run = written(tmp_path / "run", [lucky, *again])

    assert of(run, "iterations") == [("t3", 4), ("t3", 9)]


@pytest.mark.parametrize("trials", [[scored(1.0)], [scored(1.0), scored(2.0, kept=False)]])
def test_one_checkpoint_is_no_strip(tmp_path: Path, trials: list[dict[str, Any]]) -> None:
    assert exhibits(written(tmp_path / "run", trials)) == []
