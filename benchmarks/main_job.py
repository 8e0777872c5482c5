"""The main job on real drawings: prepare, searches/quick.py, ensemble; how long it takes and what it gains.

    python benchmarks/main_job.py COLOR_DIR LINE_DIR [--quick] [--json FILE]

Scores are those of the test split, which chooses nothing; the interval of each gain is the paired bootstrap's. The
summary has medians over the searches, and the lowest end of their intervals.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import ray
from harness import drawings_arguments, finish

from colorizer.prepare import prepare
from ensembles import build, gather
from search.definition_file import DefinitionFile

QUICK = Path(__file__).parents[1] / "searches" / "quick.py"


def main() -> None:
    options = drawings_arguments(__doc__)
    short = {"trials": 4, "steps": 20} if options.quick else {}
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        dataset = prepare(options.colors, Path(scratch) / "dataset", options.lines).folder
        prepared = time.perf_counter() - began
        for seed in options.seeds:
            began = time.perf_counter()
            search = DefinitionFile.load(QUICK).build(data=str(dataset), seed=seed, **short)
            results = search.run(f"seed{seed}", scratch)
            searched = time.perf_counter() - began
            members = gather(results, top=search.keep_checkpoints)
            scores = build(members, Path(scratch) / f"ensemble{seed}").scores.set_index("method")
            shipped = scores[scores["ships"]].iloc[0]
            rows.append(
                {
                    "seed": seed,
                    "prepare_seconds": prepared,
                    "search_seconds": searched,
                    "best_single_psnr": float(scores.loc["best_single", "psnr"]),
                    "ensemble_psnr": float(shipped["psnr"]),
                    "method": str(shipped.name),
                    **{name: float(shipped[name]) for name in ("gain_psnr", "gain_low", "gain_high")},
                }
            )
    measures = ("search_seconds", "best_single_psnr", "ensemble_psnr", "gain_psnr")
    summary = {name: float(np.median([row[name] for row in rows])) for name in measures}
    finish(options, rows, summary | {"gain_low": min(row["gain_low"] for row in rows)})


if __name__ == "__main__":
    main()
