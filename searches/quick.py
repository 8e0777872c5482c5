"""A first search for the colours of line drawings: learning rates, costs and the make of the generator.

    huetune run searches/quick.py --data DATASET --name quick

Learning rates stay constant: the average over the ensemble's members does what a falling rate would do for one, and
members that were not all cooled down err less alike. For the same reason no trial is stopped early and every checkpoint
is kept: all trials are short, and the ensemble weighs them. Longer trials earn `scheduler=asha(reports)`.
"""

from ray import tune

from colorizer.dataset import Dataset
from colorizer.trial import ColorizerTrial
from search import Bayesian, Search


def search(
    data: str,
    size: int = 48,
    trials: int = 16,
    reports: int = 5,
    steps: int = 100,
    gpu: float = 0.0,
    seed: int = 0,
) -> Search:
    return Search(
        trainable=ColorizerTrial,
        space={
            "lr_g": tune.loguniform(1e-3, 6e-3),
            "lr_d": tune.loguniform(5e-5, 1e-3),
            "beta1": tune.uniform(0.3, 0.9),
            "weight_decay": tune.loguniform(1e-4, 1e-1),
            "l1_weight": tune.loguniform(1, 20),
            "mse_weight": tune.loguniform(1, 20),
            "dropout": tune.uniform(0, 0.3),
            "norm": tune.choice(["batch", "group", "none"]),
            "activation": tune.choice(["relu", "leaky", "silu"]),
            "flip": tune.choice([True, False]),
            "schedule": "constant",
            "data": Dataset.open(data).address,
            "size": size,
            "batch_size": 8,
            "precision": "auto",
            "steps_per_report": steps,
            "total_reports": reports,
        },
        metric="psnr",
        mode="max",
        trials=trials,
        iterations=reports,
        method=Bayesian(startup=8),
        resources={"cpu": 1, "gpu": gpu},
        keep_checkpoints=trials,
        seed=seed,
    )
