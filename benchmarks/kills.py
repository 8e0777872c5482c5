"""Runs whose driver is killed with SIGKILL at random moments and resumed: is every trial there, once, and none more?

Each run is a search of 10 trials with four reports each, two at a time, with early stopping, by a jittered grid or a
Bayesian sampler, on a cluster that outlives its drivers. A driver is killed up to three times, at moments that are
uniform over the time that an undisturbed run takes from its first file to its end; then it is left to finish.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import ray
from harness import arguments, finish

from search import Results

SEARCH = Path(__file__).parents[1] / "tests" / "search" / "killed_search.py"
HUETUNE = [sys.executable, "-c", "from search.cli import main; main()"]
TRIALS, KILLS = 10, 3


def drive(*command: str | Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*HUETUNE, *map(str, command)], env=environment, **quiet)


def wait_for_files(run: Path) -> None:
    while not (run / "search.json").exists():
        time.sleep(0.01)


def finish_or_kill(driver: subprocess.Popen[str], seconds: float | None) -> bool:
    """Whether it had to be killed."""
    try:
        _, said = driver.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        driver.kill()
        driver.communicate()
        return True
    if driver.returncode:
        raise RuntimeError(said)
    return False


def one(seed: int, length: float, folder: Path) -> dict[str, object]:
    rng = random.Random(seed)
    run = folder / f"run-{seed}"
    method = "--grid" if seed % 2 else "--no-grid"
    driver = drive("run", SEARCH, "--name", run.name, "--storage", folder, "--trials", str(TRIALS), method)
    wait_for_files(run)
    kills = 0
    # The first always comes in time; later ones may find that the run is through.
    while kills < KILLS and finish_or_kill(driver, rng.uniform(0, length if kills else 0.6 * length)):
        kills += 1
        driver = drive("resume", run)
    finish_or_kill(driver, None)
    results = Results(run)
    table, reports = results.table(), results.measurements()
    made = reports.groupby("trial_id")["iteration"].agg(list).to_dict()
    whole = all(
        made.get(t) == list(range(1, n + 1)) for t, n in zip(table["trial_id"], table["iterations"], strict=True)
    )
    kept = [Path(run, str(record.checkpoint), "steps.json").exists() for record in results.top(99)]
    return {
        "seed": seed,
        "method": "JitteredGrid" if seed % 2 else "Bayesian",
        "kills": kills,
        "trials": len(table),
        "ended": int(table["status"].isin(["finished", "stopped"]).sum()),
        "twice": sum(n - 1 for n in Counter(table["number"]).values()),
        "reports_whole": whole,
        "checkpoints_whole": all(kept) and len(kept) == 3,
    }


def main() -> None:
    options = arguments(__doc__)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        driver = drive("run", SEARCH, "--name", "undisturbed", "--storage", folder, "--trials", str(TRIALS))
        wait_for_files(folder / "undisturbed")
        began = time.monotonic()
        finish_or_kill(driver, None)
        length = time.monotonic() - began
        rows = [one(seed, length, folder) for seed in range(3 if options.quick else 20)]
    right = [
        row["trials"] == row["ended"] == TRIALS
        and not row["twice"]
        and row["reports_whole"]
        and row["checkpoints_whole"]
        for row in rows
    ]
    finish(options, rows, {"runs": len(rows), "kills": sum(int(str(r["kills"])) for r in rows), "whole": sum(right)})


if __name__ == "__main__":
    main()
