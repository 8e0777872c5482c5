"""The best configuration of searches/thorough.py against the published pix2pix recipe, on real drawings of 64x64.

    python benchmarks/quality.py COLOR_DIR LINE_DIR [--seeds 101 102 103] [--winner FILE] [--quick] [--json FILE]

One search; the validation split chooses. Then its winner and the preset "pix2pix", in networks of the same width, are
trained with the same fresh seeds, batches and numbers of steps: as many as a trial of the search had, and more.
Scores are those of the test split, after the last step of each; the intervals are bootstraps over its drawings, paired.
Beside them stand the baselines: the lines as they are, and the mean picture.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
from harness import Row, drawings_parser, finish, interval
from numpy.typing import NDArray

from colorizer.baselines import score
from colorizer.config import TrainingConfig
from colorizer.dataset import Dataset
from colorizer.inference import Colorizer
from colorizer.metrics import summarize
from colorizer.prepare import prepare
from colorizer.presets import preset
from colorizer.seeds import isolate
from colorizer.training import Trainer
from search import Search
from search.definition_file import DefinitionFile

THOROUGH = Path(__file__).parents[1] / "searches" / "thorough.py"
SIZE = 64
MEASURES = ("psnr", "ssim", "ciede2000", "colourfulness")
SHARED = ("channels", "discriminator_channels", "batch_size", "precision")  # what the preset leaves open
TRIALS_OWN = ("data", "steps_per_report", "total_reports", "training_iteration")

Key = tuple[str, int, int]  # recipe, steps, seed
Scores = dict[str, NDArray[np.float64]]


def main() -> None:
    parser = drawings_parser(__doc__, seeds=(101, 102, 103))
    parser.add_argument("--winner", type=Path, metavar="FILE", help="results of an earlier call: no search, its winner")
    options = parser.parse_args()
    settings = {"reports": 2, "steps": 20, "trials": 3, "finalists": 2, "seeds": 2} if options.quick else {"steps": 150}
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = str(prepare(options.colors, Path(scratch) / "dataset", options.lines).folder)
        search = DefinitionFile.load(THOROUGH).build(data=dataset, size=SIZE, **settings)
        found = searched(search, scratch) if options.winner is None else kept(options.winner)
        recipe = found["winner"]
        theirs = preset("pix2pix", SIZE) | {name: getattr(TrainingConfig(**recipe), name) for name in SHARED}
        length = search.iterations * search.space["steps_per_report"]
        rows, scores = compared(dataset, {"thorough": recipe, "pix2pix": theirs}, (length, 4 * length), options.seeds)
    finish(options, rows, summarized(rows, scores, length) | found)


def searched(search: Search, scratch: str) -> Row:
    """The configuration that wins the search, and the seconds that it took."""
    began = time.perf_counter()
    config = search.run("thorough", scratch).finalists()[0].config
    winner = {name: value for name, value in config.items() if name not in TRIALS_OWN}
    return {"winner": winner, "search_seconds": time.perf_counter() - began}


def kept(file: Path) -> Row:
    """The same, of results that were written before."""
    summary = json.loads(file.read_text())["summary"]
    return {name: summary[name] for name in ("winner", "search_seconds")}


def compared(
    data: str, recipes: dict[str, dict[str, Any]], lengths: tuple[int, ...], seeds: list[int]
) -> tuple[list[Row], dict[Key, Scores]]:
    """A row a training and one a baseline; and the scores of each test drawing by recipe, length and seed."""
    keys = [(recipe, steps, seed) for steps in lengths for seed in seeds for recipe in recipes]
    at_work = ray.remote(num_cpus=1)(trained)
    scores = dict(zip(keys, ray.get([at_work.remote(data, recipes[key[0]], *key[1:]) for key in keys]), strict=True))
    rows = [
        {"recipe": recipe, "steps": steps, "seed": seed, **summarize(scores[recipe, steps, seed])}
        for recipe, steps, seed in keys
    ]
    splits = Dataset.open(data)
    baselines = score(splits.split("train", SIZE), splits.split("test", SIZE))
    return [*rows, *({"recipe": name, "steps": 0, "seed": 0, **told} for name, told in baselines.items())], scores


def trained(data: str, recipe: dict[str, Any], steps: int, seed: int) -> Scores:
    """The scores of every test drawing after so many steps."""
    isolate(seed, threads=1)
    config = TrainingConfig(**recipe | {"seed": seed, "steps_per_report": steps, "total_reports": 1})
    trainer = Trainer(config, Dataset.open(data).split("train", SIZE))
    trainer.train(steps, look=False)
    model = Colorizer(trainer.shown, SIZE, data)
    parts = [model.scores(model(batch.inputs), batch.targets) for batch in model.batches("test")]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def summarized(rows: list[Row], scores: dict[Key, Scores], length: int) -> Row:
    """Medians over seeds of both recipes at each number of steps, and the gains with their intervals."""
    table = pd.DataFrame(rows)
    found: Row = {"steps_of_the_search": length}
    for steps in sorted(set(table["steps"]) - {0}):
        for recipe in ("thorough", "pix2pix"):
            of = table[(table["recipe"] == recipe) & (table["steps"] == steps)]
            for measure in MEASURES:
                found[f"{recipe}_{measure}_{steps}"] = float(of[measure].mean())
                found[f"{recipe}_{measure}_spread_{steps}"] = float(of[measure].std(ddof=1))
        for measure in ("psnr", "ciede2000"):
            ours, theirs = (
                np.mean(
                    [told[measure] for (recipe, at, _), told in scores.items() if (recipe, at) == (wanted, steps)], 0
                )
                for wanted in ("thorough", "pix2pix")
            )
            found[f"gain_{measure}_{steps}"] = float(np.mean(ours - theirs))
            found[f"gain_{measure}_low_{steps}"], found[f"gain_{measure}_high_{steps}"] = interval(ours - theirs)
    return found


if __name__ == "__main__":
    main()
