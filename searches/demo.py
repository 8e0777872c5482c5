"""What `make demo` runs: a short search on the embedded drawings.

huetune run searches/demo.py --data DATASET --name demo
"""

from ray import tune

from colorizer.dataset import Dataset
from colorizer.trial import ColorizerTrial
from search import Bayesian, Search, asha


def search(data: str, trials: int = 10, reports: int = 5) -> Search:
    return Search(
        trainable=ColorizerTrial,
        space={
            "lr_g": tune.loguniform(5e-4, 6e-3),
            "beta1": tune.uniform(0.3, 0.9),
            "l1_weight": tune.loguniform(5, 50),
            "norm": tune.choice(["batch", "group", "none"]),
            "dropout": tune.uniform(0, 0.3),
            "schedule": "constant",
            "data": Dataset.open(data).address,
            "steps_per_report": 100,
            "total_reports": reports,
        },
        metric="psnr",
        mode="max",
        trials=trials,
        iterations=reports,
        method=Bayesian(startup=5),
        scheduler=asha(reports, grace=2),
        keep_checkpoints=trials,
    )
