"""Models that are trained again as a checkpoint was: on chosen drawings, on other colours, from another seed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from colorizer.checkpoint import CheckpointError, read
from colorizer.config import TrainingConfig, build_generator
from colorizer.dataset import Dataset, Drawings
from colorizer.inference import Colorizer, load_predictor
from colorizer.retraining import retrain, retraining_config
from colorizer.training import Trainer

SIZE = 24
SETTINGS: dict[str, Any] = {
    "size": SIZE,
    "channels": 4,
    "levels": 2,
    "discriminator_channels": 4,
    "batch_size": 4,
    "steps_per_report": 3,
    "total_reports": 4,
    "dropout": 0.2,
    "ema": 0.9,
}
CONFIG = TrainingConfig(**SETTINGS, seed=5)


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint half-way through its training."""
    folder = tmp_path_factory.mktemp("trained")
    found = Dataset.open(dataset)
    trainer = Trainer(
        CONFIG,
        found.split("train", SIZE),
        data={"path": str(dataset), "digest": found.digest, "statistics": found.statistics},
    )
    trainer.train(6)
    trainer.save(folder / "half")
    trainer.train(6)
    trainer.save(folder / "whole")
    return folder


def weights(folder: Path) -> dict[str, Any]:
    return safetensors.numpy.load_file(folder / "generator.safetensors")


def same(first: Path, second: Path) -> bool:
    one, other = weights(first), weights(second)
    assert one.keys() == other.keys()
    return all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_all_drawings_and_its_own_seed_give_the_model_that_the_trial_would_have_become(
    trained: Path, tmp_path: Path
) -> None:
    load_predictor(trained / "half").retrain(np.arange(28), tmp_path, seed=5)
    assert same(tmp_path, trained / "whole")
    description = read(tmp_path)
    assert (description.steps, description.iteration, description.config) == (12, 4, CONFIG)
    assert description.data == read(trained / "whole").data
    assert description.notes == {"learnt": {"drawings": 28, "of": 28, "colours": "true"}}


def test_statistics_of_the_training_drawings_are_kept_with_the_model(dataset: Path, tmp_path: Path) -> None:
    found = replace(Dataset.open(dataset), statistics={"line": {"mean": 0.8}})
    retrain(found, replace(CONFIG, total_reports=1), np.arange(8), tmp_path)
    assert read(tmp_path).data["statistics"] == {"line": {"mean": 0.8}}


def test_a_model_with_hints_and_everything_is_trained_again(dataset: Path, tmp_path: Path) -> None:
    shown = {"hint_points": 4, "line_styles": "given,xdog", "rotate": 5.0, "hue": 20.0, "ema": 0.0}
    config = replace(CONFIG, **shown)
    found = Dataset.open(dataset)
    for name in ("one", "other"):
        retrain(found, config, np.arange(28), tmp_path / name)
    assert same(tmp_path / "one", tmp_path / "other")
    trainer = Trainer(config, found.split("train", SIZE))
    trainer.train(config.total_steps)
    assert torch.equal(torch.from_numpy(weights(tmp_path / "one")["head.weight"]), trainer.generator.head.weight)
    load_predictor(tmp_path / "one").retrain(np.arange(9), tmp_path / "student", seed=1)
    assert weights(tmp_path / "student")["sketch.weight"].shape == (3, 5, 3, 3)


def test_what_is_written_is_scored_and_goes_on_to_train(trained: Path, dataset: Path, tmp_path: Path) -> None:
    load_predictor(trained / "half").retrain(np.arange(9), tmp_path, seed=1)
    written = load_predictor(tmp_path)
    [batch] = written.batches("val")
    scores = written.summarize(written.scores(written(batch.inputs), batch.targets))
    assert read(tmp_path).metrics["psnr"] == pytest.approx(scores["psnr"], rel=1e-4)
    written.retrain(np.arange(9), tmp_path / "again", seed=1)
    assert same(tmp_path / "again", tmp_path)


def test_only_the_chosen_drawings_are_learnt_from(trained: Path, dataset: Path, tmp_path: Path) -> None:
    rows = np.array([20, 3, 11, 4])
    colorizer, train = load_predictor(trained / "half"), Dataset.open(dataset).split("train", SIZE)
    some = Drawings(["a", "b", "c", "d"], train.groups[rows], train.lines[rows], train.colors[rows])
    trainer = Trainer(replace(CONFIG, seed=1), some)
    trainer.train(12)
    trainer.save(tmp_path / "expected")
    colorizer.retrain(rows, tmp_path / "found", seed=1)
    assert same(tmp_path / "found", tmp_path / "expected")
    [batch] = colorizer.batches("train")
    colorizer.retrain(rows, tmp_path / "given", seed=1, targets=batch.targets[rows])
    assert same(tmp_path / "given", tmp_path / "expected")
    assert read(tmp_path / "given").notes["learnt"] == {"drawings": 4, "of": 28, "colours": "given"}


def test_a_model_learns_the_colours_it_is_given(trained: Path, tmp_path: Path) -> None:
    colorizer = load_predictor(trained / "half")
    red = np.full((28, 3, SIZE, SIZE), -1.0, np.float32)
    red[:, 0] = 1.3  # as a blend may overshoot
    settings = {"total_reports": 40, "dropout": 0.0, "adversarial_weight": 0.0}
    colorizer.retrain(np.arange(28), tmp_path, seed=0, targets=red, settings=settings)
    student = load_predictor(tmp_path)
    [batch] = student.batches("val")
    means = student(batch.inputs).mean(axis=(0, 2, 3))
    assert means[0] > 0.8
    assert (means[1:] < -0.8).all()


def test_settings_override_those_of_the_model_and_a_share_of_the_data_is_not_taken_twice(tmp_path: Path) -> None:
    model = TrainingConfig(**SETTINGS, data_fraction=0.25, seed=5)
    config = retraining_config(model, 7, {"lr_g": 1e-3, "channels": np.int64(8)})
    assert (config.seed, config.lr_g, config.channels, config.data_fraction) == (7, 1e-3, 8, 1.0)
    assert (config.total_reports, config.size, config.dropout) == (4, SIZE, 0.2)
    assert retraining_config(model, 7, {"data_fraction": 0.5}).data_fraction == 0.5
    with pytest.raises(ValueError, match="Did you mean 'channels'"):
        retraining_config(model, 7, {"chanels": 8})
    with pytest.raises(ValueError, match="Expected the seed as seed=7, got another among the settings: 3"):
        retraining_config(model, 7, {"seed": 3})


def test_a_model_of_the_default_size_takes_all_but_its_architecture_from_this_one(
    trained: Path, tmp_path: Path
) -> None:
    teacher = load_predictor(trained / "half")
    teacher.retrain(np.arange(28), tmp_path, seed=0, settings=teacher.default_settings)
    student, defaults = read(tmp_path).config, TrainingConfig()
    for name in ("channels", "levels", "norm", "activation", "upsample", "dropout", "discriminator_channels"):
        assert getattr(student, name) == getattr(defaults, name), name
    for name in ("size", "steps_per_report", "total_reports", "batch_size", "ema", "lr_g"):
        assert getattr(student, name) == getattr(CONFIG, name), name
    assert load_predictor(tmp_path).parameters > teacher.parameters


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "Expected rows as 1 or more whole numbers, got .* of shape \\(0,\\)"),
        ([0.5, 1.0], "Expected rows as 1 or more whole numbers, got float64"),
        ([True, False], "got bool of shape \\(2,\\).*np.flatnonzero"),
        ([[1, 2]], "got int64 of shape \\(1, 2\\)"),
        ([3, 28], "Expected rows of the 28 training drawings, 0 to 27, got 28"),
        ([-1], "0 to 27, got -1"),
        ([4, 2, 4, 4], "Expected each row once, got 4 3 times"),
    ],
)
def test_rows_that_cannot_be_learnt_from_are_named_and_nothing_is_written(
    trained: Path, tmp_path: Path, rows: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_predictor(trained / "half").retrain(np.array(rows), tmp_path / "new", seed=0)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.zeros((3, 3, SIZE, SIZE)), r"floats of shape \(2, 3, 24, 24\), got float64 of shape \(3, 3, 24, 24\)"),
        (np.zeros((2, 3, SIZE, SIZE), np.uint8), r"floats of shape \(2, 3, 24, 24\), got uint8"),
        (np.full((2, 3, SIZE, SIZE), 255.0), r"targets in \[-1, 1\], got values as far as 255 from zero"),
        (np.full((2, 3, SIZE, SIZE), np.nan), r"targets in \[-1, 1\], got values as far as nan from zero"),
    ],
)
def test_targets_that_cannot_be_learnt_are_named(trained: Path, tmp_path: Path, targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_predictor(trained / "half").retrain(np.arange(2), tmp_path, seed=0, targets=targets)


def test_a_caller_that_only_predicts_gets_the_same_model_and_keeps_its_state(trained: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    for name, mode in (("grad", torch.enable_grad()), ("no grad", torch.no_grad()), ("none", torch.inference_mode())):
        with mode:
            load_predictor(trained / "half").retrain(np.arange(8), tmp_path / name, seed=2)
        assert same(tmp_path / name, tmp_path / "grad")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_process_of_its_own_is_put_into_the_state_that_trials_start_in(dataset: Path, tmp_path: Path) -> None:
    found, threads = Dataset.open(dataset), torch.get_num_threads()
    try:
        torch.set_default_dtype(torch.float64)
        retrain(found, CONFIG, range(28), tmp_path, threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(threads)
    assert {tensor.dtype for tensor in weights(tmp_path).values()} == {np.dtype("float32"), np.dtype("int64")}


def test_a_colorizer_from_no_checkpoint_cannot_be_trained_again(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="use load_predictor"):
        Colorizer(build_generator(CONFIG), SIZE).retrain(np.arange(3), tmp_path, seed=0)
