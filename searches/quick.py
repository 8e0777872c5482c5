"""A first search for the colours of line drawings: learning rates, costs and the shape of the generator.

huetune run searches/quick.py --data DATASET --name quick
"""

from pathlib import Path

from ray import tune

from colorizer.trial import ColorizerTrial
from search import Bayesian, Search, asha


def search(data: str, size: int = 48, trials: int = 16, reports: int = 8, steps: int = 120, seed: int = 0) -> Search:
    return Search(
        trainable=ColorizerTrial,
        space={
            "lr_g": tune.loguniform(5e-4, 5e-3),
            "lr_d": tune.loguniform(2e-5, 1e-3),
            "beta1": tune.uniform(0.3, 0.9),
            "weight_decay": tune.loguniform(1e-4, 1e-1),
            "mse_weight": tune.loguniform(20, 200),
            "l1_weight": tune.loguniform(1, 100),
            "dropout": tune.uniform(0, 0.3),
            "levels": tune.randint(3, 6),
            "data": str(Path(data).resolve()),
            "size": size,
            "channels": 16,
            "batch_size": 16,
            "steps_per_report": steps,
            "total_reports": reports,
        },
        metric="psnr",
        mode="max",
        trials=trials,
        iterations=reports,
        method=Bayesian(startup=6),
        scheduler=asha(reports, grace=2),
        keep_checkpoints=8,
        seed=seed,
    )
