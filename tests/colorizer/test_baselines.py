"""Trivial predictors are what they are called, and their scores those of a direct computation."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from colorizer import baselines, metrics
from colorizer.dataset import Dataset, Drawings, cache_folder


def drawn(count: int, seed: int = 0) -> Drawings:
    """Noise of 5 x 7 pixels: sides that differ find axes that are mixed up."""
    rng = np.random.default_rng(seed)
    lines = rng.integers(0, 256, (count, 1, 5, 7), np.uint8)
    colors = rng.integers(0, 256, (count, 3, 5, 7), np.uint8)
    return Drawings([f"d{n}" for n in range(count)], np.arange(count), lines, colors)


def test_the_copied_line_is_grey_and_the_mean_image_is_the_same_for_every_line() -> None:
    train = drawn(70)
    lines = np.random.default_rng(1).uniform(-1, 1, (4, 1, 5, 7)).astype(np.float32)
    told = {name: predict(lines) for name, predict in baselines.predictors(train).items()}
    for channel in range(3):
        np.testing.assert_array_equal(told["line_copied"][:, channel], lines[:, 0])
    expected = (train.colors.astype(np.float64) / 127.5 - 1).mean(axis=0)
    for row in range(4):
        np.testing.assert_allclose(told["mean_image"][row], expected, atol=1e-6)


def test_scores_are_those_of_all_drawings_at_once() -> None:
    train, val = drawn(5), drawn(70, seed=1)
    lines, colors = (torch.from_numpy(part.astype(np.float32) / 127.5 - 1) for part in (val.lines, val.colors))
    mean = torch.from_numpy(train.colors / 127.5 - 1).mean(dim=0).float().expand(70, 3, 5, 7)
    found = baselines.score(train, val)
    for name, predicted in {"line_copied": lines.expand(-1, 3, -1, -1), "mean_image": mean}.items():
        assert found[name] == pytest.approx(metrics.summarize(metrics.score_images(predicted, colors)), rel=1e-5)


def test_without_drawings_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(ValueError, match="1 drawing or more to take the mean of"):
        baselines.score(drawn(0), drawn(2))
    with pytest.raises(ValueError, match="1 drawing or more to score"):
        baselines.score(drawn(2), drawn(0))


def test_what_a_trial_reports_is_computed_once_for_a_dataset_a_split_and_a_size(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Dataset.open(dataset)
    splits = {size: (opened.split("train", size), opened.split("val", size)) for size in (16, 24)}
    expected = {size: baselines.score(*of) for size, of in splits.items()}
    first = {size: baselines.reported(opened, "val", size) for size in (16, 24)}
    assert first[16] != first[24]
    for size, scores in expected.items():
        for name, told in scores.items():
            for key, value in told.items():
                assert first[size][f"baseline/{name}/{key}"] == value
    monkeypatch.setattr(baselines, "score", None)  # would fail now
    assert {size: baselines.reported(opened, "val", size) for size in (16, 24)} == first


def test_a_damaged_file_of_scores_is_written_anew(dataset: Path) -> None:
    opened = Dataset.open(dataset)
    expected = baselines.reported(opened, "test", 16)
    (file,) = cache_folder().glob(f"{opened.digest[:32]}-baselines-test-16-*.json")
    kept = file.read_text()
    texts = {name: {"psnr": "high"} for name in baselines.WORDS}
    for content in ("{", "[]", "{}", json.dumps(texts), json.dumps(dict.fromkeys(texts, 1.0))):
        file.write_text(content)
        assert baselines.reported(opened, "test", 16) == expected
        assert file.read_text() == kept


def test_who_asks_at_the_same_time_waits_for_the_one_that_computes(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, real = Dataset.open(dataset), baselines.score
    computing, go_on = threading.Semaphore(0), threading.Event()

    def slow(train: Drawings, drawings: Drawings) -> dict[str, dict[str, float]]:
        computing.release()
        go_on.wait(60)
        return real(train, drawings)

    monkeypatch.setattr(baselines, "score", slow)
    with ThreadPoolExecutor(2) as workers:
        asked = [workers.submit(baselines.of_split, opened, "val", 20) for _ in range(2)]
        assert computing.acquire(timeout=60)
        second = computing.acquire(timeout=0.5)  # there is none to wait for where the other holds its peace
        go_on.set()
        assert asked[0].result() == asked[1].result() == real(opened.split("train", 20), opened.split("val", 20))
    assert not second
