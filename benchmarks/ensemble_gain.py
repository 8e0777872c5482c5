"""What an ensemble of the top 8 of a search of 32 trials is worth on real drawings of 64x64: every method, on test.

    python benchmarks/ensemble_gain.py COLOR_DIR LINE_DIR [--seeds 0 1] [--quick] [--json FILE]

The search is searches/quick.py with --size 64 --trials 32 --reports 10 --steps 300: trials of 3,000 steps.
Validation chooses what ships; the rows are the tables of scores, and differences from the best single model with their
bootstrap intervals. The summary has medians over the searches, and the least favourable end of the intervals.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import ray
from harness import drawings_arguments, finish

from colorizer.prepare import prepare
from ensembles import PredictionCache, build, gather
from ensembles.recipes import USUAL
from search.definition_file import DefinitionFile

QUICK = Path(__file__).parents[1] / "searches" / "quick.py"
TOP = 8
METHODS = (*USUAL, "convolution", "convolution_flips", "median", "majority", "medoid", "medoid_region")


def main() -> None:
    options = drawings_arguments(__doc__)
    full, quick = {"trials": 32, "reports": 10, "steps": 300}, {"trials": 4, "reports": 2, "steps": 20}
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        dataset = prepare(options.colors, Path(scratch) / "dataset", options.lines).folder
        for seed in options.seeds:
            rows += searched(str(dataset), Path(scratch), seed, quick if options.quick else full)
            finish(options, rows, summary(pd.DataFrame(rows)))


def searched(dataset: str, scratch: Path, seed: int, settings: dict[str, int]) -> list[dict[str, object]]:
    """A row a method of one search."""
    began = time.perf_counter()
    search = DefinitionFile.load(QUICK).build(data=dataset, size=64, seed=seed, **settings)
    results = search.run(f"seed{seed}", str(scratch))
    middle = time.perf_counter()
    folder = scratch / f"ensemble{seed}"
    report = build(gather(results, top=TOP), folder, methods=METHODS, cache=PredictionCache(scratch / "cache"))
    spent = {"seed": seed, "search_seconds": middle - began, "ensemble_seconds": time.perf_counter() - middle}
    differences = pd.read_parquet(folder / "differences.parquet")
    closer = differences[differences["measure"] == "ciede2000"].set_index("method")
    rows = []
    for row in report.scores[report.scores["members"] > 0].to_dict("records"):  # baselines have none
        rows.append(spent | row | {f"ciede2000_{name}": 0.0 for name in ("difference", "low", "high")})
        if row["method"] in closer.index:
            found = closer.loc[row["method"], ["difference", "low", "high"]]
            rows[-1] |= {f"ciede2000_{name}": float(value) for name, value in found.items()}
    return rows


def summary(table: pd.DataFrame) -> dict[str, float]:
    """Medians over the searches, and the worst ends of the intervals."""
    shipped, vivid = table[table["ships"]], table[table["method"] == "vivid"]
    return {
        "best_single_psnr": float(table.loc[table["method"] == "best_single", "psnr"].median()),
        "gain_psnr": float(shipped["gain_psnr"].median()),
        "gain_low": float(shipped["gain_low"].min()),
        "ciede2000_difference": float(shipped["ciede2000_difference"].median()),
        "ciede2000_high": float(shipped["ciede2000_high"].max()),
        "vivid_colourfulness_low": float(vivid["colourfulness"].min()),
        "vivid_colourfulness_high": float(vivid["colourfulness"].max()),
        "vivid_ciede2000_difference": float(vivid["ciede2000_difference"].median()),
        "vivid_ciede2000_high": float(vivid["ciede2000_high"].max()),
        "largest_gain": float(np.median(table.groupby("seed")["gain_psnr"].max())),
    }


if __name__ == "__main__":
    main()
