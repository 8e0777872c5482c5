"""Runs at the edge of what can be reported, and one whose every text attacks the page."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import report_run as runs

EVIL = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\"'&"


def evil_run():
    """A run in which every string a user can set is an attack."""
    run = runs.synthetic_run(12)
    trials = run.trials.rename(columns={"config.norm": f"config.{EVIL}"})
    trials[f"config.{EVIL}"] = EVIL
    trials.loc[0, f"config.{EVIL}"] = "other"
    for column in ("error", "node", "stage", "suggested_by", "checkpoint", "config.data"):
        trials[column] = EVIL
    space = {name: spec for name, spec in run.definition["space"].items() if name != "norm"}
    space[EVIL] = {"type": "choice", "values": [EVIL, "other"]}
    texts = ("name", "method", "scheduler", "trainable", "command", "git_commit", "seed")
    definition = {**run.definition, "space": space, "metric": EVIL, **dict.fromkeys(texts, EVIL)}
    definition |= {"versions": {EVIL: EVIL}, "resources": {EVIL: EVIL}, "score": EVIL}
    return replace(
        run,
        definition=definition,
        trials=trials,
        measured=run.measured.rename(columns={"psnr": EVIL}),
        scores=run.scores.assign(method=["best_single", EVIL, "b", "c", "d"]).rename(
            columns={"gain_psnr": f"gain_{EVIL}", "ssim": EVIL}
        ),
        pictures=run.pictures.assign(example=EVIL),
        blend={**run.blend, "members": [{"folder": EVIL, "trial_id": EVIL, "source": EVIL}]},
        pairs=run.pairs.assign(member_a=run.pairs["member_a"] + EVIL, member_b=run.pairs["member_b"] + EVIL),
    )


def _only(run, *names, trials=None):
    kept = {name: run.definition["space"][name] for name in names}
    table = run.trials if trials is None else trials
    dropped = [c for c in table if c.startswith("config.") and c.removeprefix("config.") not in names]
    return replace(run, definition={**run.definition, "space": kept}, trials=table.drop(columns=dropped))


def edge_runs():
    """Runs at the edges of what can be, by name, each with words its page must say."""
    full, bare = runs.synthetic_run(12), runs.synthetic_run(12, ensemble=False)
    failed = bare.trials.assign(status="failed", score=np.nan, error="RuntimeError: no")
    one = bare.trials.head(1)
    never = {"trial_id": [], "number": [], "status": [], "score": []}
    moving = bare.trials.copy()
    moving.loc[8:, ["status", "score", "ended"]] = ["running", np.nan, pd.NaT]
    mixed_values = [[1, 2], None, True, "auto", 3.5, {"a": 1}]
    mixed = bare.trials.assign(**{"config.norm": [json.dumps(mixed_values[i % 6]) for i in range(12)]})
    mixed_space = {**bare.definition["space"], "norm": {"type": "choice", "values": mixed_values}}
    wide = pd.DataFrame({f"config.p{i:03d}": np.linspace(0.1 + i, 1 + i, 12) for i in range(500)})
    unpictured = full.pictures.assign(image=[{"bytes": b"", "path": None}] * len(full.pictures))
    return {
        "without an ensemble": (bare, "huetune ensemble runs/spring-colours"),
        "before the first trial": (
            replace(bare, trials=pd.DataFrame(never), measured=pd.DataFrame({"trial_id": [], "iteration": []})),
            "No trial has begun yet",
        ),
        "without columns": (replace(bare, trials=pd.DataFrame(), measured=pd.DataFrame()), "No trial has begun yet"),
        "all failed": (replace(bare, trials=failed), "all failed"),
        "one trial": (replace(bare, trials=one), "needs two trials"),
        "two trials": (replace(bare, trials=bare.trials.head(2)), "three trials with a score are needed"),
        "one parameter": (_only(bare, "lr_g"), "only lr_g does"),
        "no parameter": (_only(bare, "data"), "no parameter varies"),
        "no space": (replace(bare, definition={**bare.definition, "space": {}}), "Every trial through its parameters"),
        "all equal": (replace(bare, trials=bare.trials.assign(score=1.0, status="finished")), "All scores are equal"),
        "metric never a number": (
            replace(bare, trials=bare.trials.assign(score=np.nan), measured=bare.measured.assign(psnr=np.nan)),
            "No trial has a score yet",
        ),
        "infinite scores": (replace(bare, trials=bare.trials.assign(score=np.inf)), "No trial has a score yet"),
        "metric never reported": (
            replace(bare, measured=bare.measured.drop(columns="psnr")),
            "No trial has reported a finite PSNR",
        ),
        "one report each": (
            replace(bare, measured=bare.measured[bare.measured["iteration"] == 1]),
            "no curves to draw",
        ),
        "in progress": (
            replace(bare, trials=moving, definition={**bare.definition, "status": "running", "ended": None}),
            "still running",
        ),
        "interrupted": (replace(bare, definition={**bare.definition, "status": "interrupted"}), "was interrupted"),
        "mixed choices": (
            replace(bare, trials=mixed, definition={**bare.definition, "space": mixed_space}),
            "The winning configuration",
        ),
        "five hundred parameters": (
            replace(
                bare,
                trials=pd.concat([bare.trials, wide], axis=1),
                definition={**bare.definition, "space": {}},
            ),
            "more parameters not shown",
        ),
        "sparse definition": (
            replace(bare, definition={"metric": "psnr", "mode": "min", "space": {}}),
            "reached the lowest PSNR",
        ),
        "no clear gain": (
            replace(full, scores=full.scores.assign(gain_low=-0.2)),
            "not clearly better than the best single model",
        ),
        "gain unknown": (replace(full, scores=full.scores[["method", "mse"]]), "No way of blending has a gain"),
        "pictures lost": (replace(full, pictures=unpictured), "no picture"),
        "ensemble half there": (replace(full, pictures=None, pairs=None, blend=None), "There are no pictures yet"),
    }


EDGES = edge_runs()
