"""A thorough search for the colours of line drawings, in four stages.

    huetune run searches/thorough.py --data DATASET --name thorough

Learning rates first, which matter most and are hardest to guess: a jittered grid over four decades each, on a part of
the data, that goes beyond its edges where the best lies there and is then refined around the best points. Then costs,
norm, and what keeps the generator from learning by heart, on all data, at these rates, which from now on fall to zero
in the course of a trial. Then everything once more around the best. The last stage trains the finalists again with
fresh seeds: the winner is chosen by their mean, and the replicas are members for `huetune ensemble`.

Colours are learnt by absolute errors alone. Squared ones would have the generator paint the mean of all colours that a
thing may have, which is pale; absolute ones have it paint the median, which is one of them.
"""

from ray import tune

from colorizer.dataset import Dataset
from colorizer.trial import ColorizerTrial
from search import Bayesian, JitteredGrid, Refine, Retest, Search, Stage, Stages


def search(
    data: str,
    size: int = 48,
    reports: int = 6,
    steps: int = 100,
    part: float = 0.25,
    trials: int = 16,
    finalists: int = 4,
    seeds: int = 3,
    gpu: float = 0.0,
    seed: int = 0,
) -> Search:
    rates = Stage(
        "learning rates",
        space={"lr_g": tune.loguniform(1e-5, 1e-1), "lr_d": tune.loguniform(1e-6, 1e-2)},
        fixed={
            "weight_decay": 0.0,
            "dropout": 0.0,
            "l1_weight": 30.0,
            "norm": "batch",
            "ema": 0.98,
            "beta1": 0.5,
            "schedule": "constant",
        },
        method=JitteredGrid(factor=10, refine=[Refine(factor=3, around=2, budget=2.0)]),
        data_fraction=part,
        budget=0.5,
    )
    regularisation = Stage(
        "regularisation",
        space={
            "weight_decay": tune.loguniform(1e-4, 1e-1),
            "dropout": tune.uniform(0, 0.3),
            "l1_weight": tune.loguniform(10, 200),
            "norm": tune.choice(["batch", "group", "none"]),
            "ema": tune.choice([0.0, 0.98, 0.99]),
            "beta1": tune.uniform(0.3, 0.9),
        },
        fixed={"schedule": "cosine"},
        method=Bayesian(startup=6),
        trials=trials,
    )
    joint = Stage("joint", method=Bayesian(startup=6), trials=trials, around=4.0)
    return Search(
        trainable=ColorizerTrial,
        space={
            "mse_weight": 0.0,
            "data": Dataset.open(data).address,
            "size": size,
            "batch_size": 8,
            "precision": "auto",
            "steps_per_report": steps,
            "total_reports": reports,
        },
        metric="psnr",
        mode="max",
        iterations=reports,
        method=Stages([rates, regularisation, joint, Retest(top=finalists, seeds=seeds)]),
        resources={"cpu": 1, "gpu": gpu},
        keep_checkpoints=2 * finalists * seeds,
        seed=seed,
    )
