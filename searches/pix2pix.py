"""The recipe of pix2pix, once for each seed: what a search of your own has to beat at equal steps.

    huetune run searches/pix2pix.py --data DATASET --name pix2pix

See `colorizer.presets.preset` for what is as published and what is not. To search around it, put axes of your own
behind the preset: {**preset("pix2pix", size), "lr_g": tune.loguniform(1e-5, 1e-2), ...}.
"""

from ray import tune

from colorizer.dataset import Dataset
from colorizer.presets import preset
from colorizer.trial import ColorizerTrial
from search import Random, Search


def search(
    data: str,
    size: int = 48,
    seeds: int = 3,
    reports: int = 5,
    steps: int = 100,
    channels: int = 16,
    gpu: float = 0.0,
    seed: int = 0,
) -> Search:
    tried = [seed + number for number in range(seeds)]
    return Search(
        trainable=ColorizerTrial,
        space={
            **preset("pix2pix", size),
            "seed": tune.choice(tried),
            "channels": channels,
            "discriminator_channels": channels,
            "data": Dataset.open(data).address,
            "batch_size": 8,
            "precision": "auto",
            "steps_per_report": steps,
            "total_reports": reports,
        },
        metric="psnr",
        mode="max",
        trials=seeds,
        iterations=reports,
        method=Random(points_to_evaluate=[{"seed": one} for one in tried]),
        resources={"cpu": 1, "gpu": gpu},
        keep_checkpoints=seeds,
        seed=seed,
    )
