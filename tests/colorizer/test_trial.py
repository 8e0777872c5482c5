"""The GAN as a trial on real Ray actors: what one trial leaves behind must not reach the next."""

from pathlib import Path
from typing import Any

import pytest
import ray
import safetensors.numpy
from ray import tune

from colorizer.checkpoint import read
from colorizer.dataset import Dataset
from colorizer.diagnosis import verdict
from colorizer.trial import ColorizerTrial
from search import Random, Search

pytestmark = pytest.mark.usefixtures("cluster")


def config(dataset: Path, **settings: Any) -> dict[str, Any]:
    small = {"size": 24, "channels": 4, "levels": 2, "batch_size": 4, "steps_per_report": 3, "total_reports": 4}
    return {"data": str(dataset), **small, "dropout": 0.2, "ema": 0.9, **settings}


UNTIDY = 8  # the seed of the trial that leaves a mess


class Untidy(ColorizerTrial):
    """A trial that may leave its process in the worst state it can."""

    def step(self) -> dict[str, Any]:
        result = super().step()
        if self._trainer.config.seed != UNTIDY:
            return result
        import random

        import numpy as np
        import torch

        torch.set_num_threads(2)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True)
        torch.set_autocast_enabled("cpu", True)
        for seed in (torch.manual_seed, random.seed, np.random.seed):
            seed(9)
        return result


def weights_after(actor: Any, folder: Path) -> dict[str, Any]:
    for _ in range(2):
        ray.get(actor.train.remote())
    ray.get(actor.save.remote(str(folder)))
    return safetensors.numpy.load_file(folder / "generator.safetensors")


def test_a_used_actor_trains_the_same_weights_as_a_fresh_one_bit_for_bit(dataset: Path, tmp_path: Path) -> None:
    actors = ray.remote(num_cpus=1)(Untidy)
    wanted = config(dataset, seed=3)
    fresh = actors.remote(config=wanted)
    expected = weights_after(fresh, tmp_path / "fresh")
    used = actors.remote(config=config(dataset, seed=UNTIDY, channels=6, levels=3, precision="bfloat16", lr_g=0.1))
    ray.get(used.train.remote())
    assert ray.get(used.reset.remote(wanted))
    found = weights_after(used, tmp_path / "used")
    for actor in (fresh, used):
        ray.kill(actor)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert tensor.tobytes() == found[name].tobytes(), name


def test_a_search_reports_every_measure_and_keeps_checkpoints_that_predict(dataset: Path, tmp_path: Path) -> None:
    from colorizer.inference import load_predictor

    space = {**config(dataset), "lr_g": tune.loguniform(1e-4, 1e-2)}
    results = Search(
        trainable=ColorizerTrial, space=space, metric="psnr", mode="max", trials=2, iterations=4, method=Random()
    ).run("gan", str(tmp_path))
    measured = results.measurements()
    for name in ("mse", "psnr", "ssim", "ciede2000", "colourfulness", "loss_g", "loss_d"):
        assert measured[name].notna().all(), name
    assert len(measured) == 8
    # What costs nothing stands beside every score, the same in every report.
    for name in ("line_copied", "mean_image"):
        for key in ("mse", "psnr", "ssim", "ciede2000", "colourfulness"):
            assert measured[f"baseline/{name}/{key}"].nunique() == 1
            assert measured[f"baseline/{name}/{key}"].notna().all()
    best = results.top(1)[0]
    predictor = load_predictor(Path(results.folder.inside(str(best.checkpoint))))
    scores = [predictor.scores(predictor(b.inputs), b.targets)["psnr"] for b in predictor.batches("val")]
    assert scores[0].mean() == pytest.approx(best.score, abs=1e-3)


def test_a_trial_that_diverges_is_failed_with_its_step_and_the_others_go_on(dataset: Path, tmp_path: Path) -> None:
    learning_rates = Random(points_to_evaluate=[{"lr_g": 1e30}, {"lr_g": 1e-3}])
    space = {**config(dataset, norm="none"), "lr_g": tune.loguniform(1e-4, 1e30)}
    results = Search(
        trainable=ColorizerTrial, space=space, metric="psnr", mode="max", trials=2, iterations=4, method=learning_rates
    ).run("diverges", str(tmp_path))
    failed, finished = results.table().to_dict("records")
    assert (failed["status"], finished["status"]) == ("failed", "finished")
    assert "Diverged: Training diverged" in failed["error"]
    assert results.best.number == 2


def test_an_unknown_hyperparameter_is_named_with_the_nearest_known_one(dataset: Path, tmp_path: Path) -> None:
    space = {**config(dataset), "lr_gen": tune.loguniform(1e-4, 1e-2)}
    results = Search(trainable=ColorizerTrial, space=space, metric="psnr", mode="max", trials=1).run("u", str(tmp_path))
    assert "got 'lr_gen'. Did you mean" in results.table()["error"][0]


def test_a_length_of_its_own_stands_in_for_the_reports_of_the_search_in_the_schedule_too(
    dataset: Path, tmp_path: Path
) -> None:
    actor = ray.remote(num_cpus=1)(ColorizerTrial).remote(config=config(dataset, training_iteration=2))
    reports = [ray.get(actor.train.remote()) for _ in range(2)]
    ray.get(actor.save.remote(str(tmp_path / "saved")))
    ray.kill(actor)
    assert [report["done"] for report in reports] == [False, True]
    assert read(tmp_path / "saved").config.total_reports == 2


def test_a_trial_keeps_the_statistics_of_its_training_drawings_with_its_model(dataset: Path, tmp_path: Path) -> None:
    trial = ColorizerTrial(config(dataset))
    trial.save_checkpoint(str(tmp_path))
    found = Dataset.open(dataset)
    assert set(found.statistics) == {"line", "color", "density"}
    expected = {"path": found.address, "digest": found.digest, "statistics": found.statistics}
    assert read(tmp_path).data == expected


def test_less_data_is_less_to_learn_from_and_all_to_be_scored_on(dataset: Path) -> None:
    def trained(data_fraction: float) -> tuple[int, int]:
        trial = ColorizerTrial(config(dataset, data_fraction=data_fraction))
        return len(trial._trainer._showing.sampler._rows), len(trial._validation)

    assert trained(1.0) == (28, 8)
    assert trained(0.25) == (7, 8)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a process its peak")
def test_a_trial_reports_its_own_peak_of_memory_and_not_that_of_the_trial_before_it(dataset: Path) -> None:
    trial = ColorizerTrial(config(dataset))
    spike = bytearray(1 << 29)  # 512 MiB; written to below, for only then are they resident
    spike[:: 1 << 12] = b"1" * len(spike[:: 1 << 12])
    with_spike = trial.train()["memory_mib"]
    del spike
    assert trial.reset(config(dataset, seed=2))
    assert trial.train()["memory_mib"] < with_spike - 400


def test_a_report_says_how_the_training_fares_and_why(dataset: Path) -> None:
    actor = ray.remote(num_cpus=1)(ColorizerTrial).remote(config=config(dataset, lr_g=1e-9, schedule="constant"))
    report = ray.get(actor.train.remote())
    ray.kill(actor)
    assert {"gradient_g", "update_ratio_g", "dead_g", "d_real_acc", "train_mse", "rate"} <= report.keys()
    assert report["val_mse"] == report["mse"]
    of_layers = {name.split("/")[1] for name in report if name.startswith("layers/")}
    assert {"gradient", "update_ratio", "dead", "mean", "std"} < of_layers
    assert report["verdict"] == verdict(report)
    assert "G hardly moves: update ratio " in report["verdict"]


def test_a_schedule_that_goes_by_scores_hears_them(dataset: Path) -> None:
    stuck = {"lr_g": 1e-30, "norm": "none"}
    settings = config(dataset, schedule="plateau", plateau_patience=1, **stuck)
    actor = ray.remote(num_cpus=1)(ColorizerTrial).remote(config=settings)
    reports = [ray.get(actor.train.remote()) for _ in range(4)]
    ray.kill(actor)
    assert reports[0]["rate"] == 1
    assert reports[-1]["rate"] < 1  # no report was better than the one before
