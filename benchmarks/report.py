"""What a report costs: seconds, memory and bytes at 100, 1,000 and 10,000 trials, and how soon one sees something.

The runs are synthetic (report_runs.py), of 50 reports a trial. A page is built by a process of its own on one core,
imports included, and opened in headless Chromium: when the first figure is drawn for a reader who goes to it at once,
and the longest task that keeps the browser from answering on the way down the page. Beside it optuna.visualization
draws the same figures from the same trials in memory; figure by figure, each in a process of its own that may take
16 GiB and five minutes, figure and JSON, all imports done. What only one of the two draws is in no comparison.

A full run takes some minutes and 18 GiB; --quick stops at 1,000 trials.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import plotly.graph_objects as go
from harness import Row, arguments, finish
from optuna import visualization
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from report_runs import SPACE, write_synthetic

from search.report.catalogue import charts
from search.report.chart import Chart
from search.report.tables.snapshot import NothingToShow, Snapshot, snapshot
from search.results import Results

Make = Callable[[], list[go.Figure]]

REPORTS = 50
MOST_BYTES, MOST_SECONDS = 16 * 2**30, 300
PAIR = ["lr_g", "lr_d"]  # two rates: the pair one looks at first
# What both draw: the names of ours (one, or all that begin like it), and Optuna's.
SAME: dict[str, tuple[str, Callable[[optuna.Study], go.Figure]]] = {
    "history": ("history", visualization.plot_optimization_history),
    "learning curves": ("learning_curves", visualization.plot_intermediate_values),
    "parallel coordinates": ("parallel", visualization.plot_parallel_coordinate),
    "importances": (
        "importances",
        lambda study: visualization.plot_param_importances(study, evaluator=PedAnovaImportanceEvaluator()),
    ),
    "slices": ("slice_*", visualization.plot_slice),
    "one contour": ("contour", lambda study: visualization.plot_contour(study, params=PAIR)),
    "distribution": ("score_distribution", visualization.plot_edf),
    "timeline": ("timeline", visualization.plot_timeline),
}
BUILD = """
import json, os, resource, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from pathlib import Path
from search.report import write_report
from search.results import Results
write_report(Results(sys.argv[1]), Path(sys.argv[2]))
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""
# In the page, before anything of it runs: go to the first figure as soon as there is one, note when it is drawn.
WATCH = """
window.seen = { first: null, longest: 0 };
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.seen.longest = Math.max(window.seen.longest, task.duration);
}).observe({ type: "longtask", buffered: true });
addEventListener("DOMContentLoaded", () => {
  const plot = document.querySelector(".plot");
  const drawn = () => {
    if (plot.dataset.drawn) requestAnimationFrame(() => (window.seen.first ??= performance.now()));
  };
  new MutationObserver(drawn).observe(plot, { attributes: true });
  plot.scrollIntoView({ behavior: "instant", block: "center" });
  drawn();
});
"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def page_built(run: Path, page: Path) -> tuple[float, float]:
    """Seconds and the largest memory in MiB of a process that writes the report."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", BUILD, run, page], check=True, capture_output=True, text=True, env=os.environ | threads
    )
    return time.perf_counter() - began, float(json.loads(done.stdout.splitlines()[-1]))


def page_opened(page: Path) -> tuple[float | None, float | None]:
    """Seconds to the first figure and of the longest task down to the foot of the page; None without Chromium."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with suppress(ModuleNotFoundError):
        from playwright.sync_api import sync_playwright

        if chromium:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
                tab = browser.new_page(viewport={"width": 1280, "height": 900})
                tab.add_init_script(WATCH)
                tab.goto(page.as_uri())
                tab.wait_for_function("window.seen.first !== null", timeout=60_000)
                first = tab.evaluate("window.seen.first") / 1000
                tab.evaluate(
                    "async () => { for (let y = 0; y < document.documentElement.scrollHeight; y += 600) {"
                    " scrollTo({ top: y, behavior: 'instant' }); await new Promise((go) => setTimeout(go, 150)); } }"
                )
                longest = tab.evaluate("window.seen.longest") / 1000
                browser.close()
                return first, longest
    return None, None


def as_study(run: Path) -> optuna.Study:
    """The run as a study in memory."""
    results = Results(run)
    scores = {name: values.to_numpy() for name, values in results.measurements().groupby("trial_id")["psnr"]}
    distributions = {name: _distribution(axis) for name, axis in SPACE.items()}
    states = {"finished": optuna.trial.TrialState.COMPLETE, "stopped": optuna.trial.TrialState.PRUNED}
    trials = []
    for row in results.table().to_dict("records"):
        state = states.get(row["status"], optuna.trial.TrialState.FAIL)
        trial = optuna.trial.create_trial(
            state=state,
            # A pruned trial counts by its best report here, as it does there.
            value=None if state == optuna.trial.TrialState.FAIL else row["score"],
            params={name: row[f"config.{name}"] for name in SPACE},
            distributions=distributions,
            intermediate_values=dict(enumerate(scores[row["trial_id"]].tolist(), start=1)),
        )
        trial.datetime_start, trial.datetime_complete = row["started"], row["ended"]
        trials.append(trial)
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    return study


def _distribution(axis: Row) -> Any:
    if axis["type"] == "choice":
        return CategoricalDistribution(axis["values"])
    log, high = axis["type"].startswith("log"), axis["high"]
    return (
        IntDistribution(axis["low"], high, log=log)
        if "int" in axis["type"]
        else FloatDistribution(axis["low"], high, log=log)
    )


def apart(make: Make) -> tuple[float, int] | str:
    """Seconds and bytes of figures and their JSON, made by a process that ends there; what stopped it otherwise."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_limited, args=(make, theirs))
    process.start()
    theirs.close()
    try:
        found = ours.recv() if ours.poll(MOST_SECONDS) else f"over {MOST_SECONDS} s"
    except EOFError:
        found = f"over {MOST_BYTES >> 30} GiB"  # the kernel was quicker than the limit
    process.kill()
    process.join()
    return found


def _limited(make: Make, answer: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    warnings.simplefilter("ignore")
    try:
        began = time.perf_counter()
        size = sum(len(figure.to_json()) for figure in make())
        answer.send((time.perf_counter() - began, size))
    except MemoryError:
        answer.send(f"over {MOST_BYTES >> 30} GiB")
    except NothingToShow as nothing:
        answer.send(str(nothing))


def compared(snap: Snapshot, study: optuna.Study, trials: int) -> list[Row]:
    """A row a figure that both draw."""
    rows = []
    for name, (mine, theirs) in pairs(snap, study).items():
        rows.append({"trials": trials, "what": name, **_told("", apart(mine)), **_told("optuna_", apart(theirs))})
    return rows


def pairs(snap: Snapshot, study: optuna.Study) -> dict[str, tuple[Make, Make]]:
    """For each figure that both draw, how we do and how Optuna does."""
    found: dict[str, tuple[Make, Make]] = {}
    for name, (mine, theirs) in SAME.items():
        chosen = [c for c in charts(snap) if c.name == mine or (mine[-1] == "*" and c.name.startswith(mine[:-1]))]
        chosen = chosen or [c for c in charts(snap) if c.name.startswith(f"{mine}_")][:1]
        if chosen:
            found[name] = (partial(_drawn, chosen, snap), partial(_theirs, theirs, study))
    return found


def _theirs(make: Callable[[optuna.Study], go.Figure], study: optuna.Study) -> list[go.Figure]:
    return [make(study)]


def _drawn(chosen: list[Chart], snap: Snapshot) -> list[go.Figure]:
    return [chart.drawn(snap).figure for chart in chosen]


def _told(side: str, found: tuple[float, int] | str) -> Row:
    seconds, size = (None, None) if isinstance(found, str) else found
    return {
        f"{side}seconds": seconds,
        f"{side}bytes": size,
        f"{side}stopped": found if isinstance(found, str) else None,
    }


def main() -> None:
    options = arguments(__doc__)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sizes, repeats = ((100, 1000), 1) if options.quick else ((100, 1000, 10_000), 3)
    rows: list[Row] = []
    summary: Row = {}
    with tempfile.TemporaryDirectory() as scratch:
        warm = write_synthetic(Path(scratch, "warm"), 30, 5)
        for sides in pairs(snapshot(Results(warm)), as_study(warm)).values():
            for make in sides:
                with suppress(NothingToShow):
                    make()
        for trials in sizes:
            run, page = write_synthetic(Path(scratch, f"run{trials}"), trials, REPORTS), Path(scratch, f"{trials}.html")
            built = [page_built(run, page) for _ in range(repeats)]
            seen = [page_opened(page) for _ in range(repeats)]
            with_browser = None not in seen[0]
            both = compared(snapshot(Results(run)), as_study(run), trials)
            summary |= {
                f"seconds_{trials}": float(np.median([seconds for seconds, _ in built])),
                f"peak_mib_{trials}": max(peak for _, peak in built),
                f"megabytes_{trials}": page.stat().st_size / 1e6,
                f"first_figure_seconds_{trials}": float(np.median([s for s, _ in seen])) if with_browser else None,
                f"longest_task_seconds_{trials}": float(np.median([s for _, s in seen])) if with_browser else None,
            }
            rows += both
            # Of figures that both have drawn: one that Optuna did not get to the end of would only raise the figure.
            whole = pd.DataFrame(both).dropna(subset=["seconds", "optuna_seconds"])
            summary |= {
                f"speedup_vs_optuna_{trials}": float(whole["optuna_seconds"].sum() / whole["seconds"].sum()),
                f"bytes_vs_optuna_{trials}": float(whole["bytes"].sum() / whole["optuna_bytes"].sum()),
            }
    summary["speedup_vs_optuna"] = summary[f"speedup_vs_optuna_{sizes[-1]}"]
    summary["bytes_vs_optuna"] = summary[f"bytes_vs_optuna_{sizes[-1]}"]
    finish(options, rows, summary)


if __name__ == "__main__":
    main()
