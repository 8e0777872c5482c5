"""`huetune inspect`, on models that were really trained: what it says is so, and its page is safe to open."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from ray import tune
from typer.testing import CliRunner, Result

from colorizer import baselines
from colorizer.config import TrainingConfig
from colorizer.dataset import Dataset
from colorizer.inference import Colorizer, load_predictor
from colorizer.inspect_command import inspect
from colorizer.inspecting import page as inspect_page
from colorizer.inspecting.inspection import Inspection, error_picture, look
from colorizer.training import Trainer
from colorizer.trial import ColorizerTrial
from ensembles import Ensemble, Member, Weighted
from search import Random, Search

SMALL = {"size": 24, "channels": 4, "levels": 2, "batch_size": 4, "discriminator_layers": 1}


def huetune_inspect(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(inspect)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def checkpoints(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two trainings of a few steps, which are worse than nothing."""
    opened = Dataset.open(dataset)
    folders = []
    for seed in range(2):
        config = TrainingConfig.from_dict({**SMALL, "seed": seed, "lr_g": 1e-5, "steps_per_report": 3})
        trainer = Trainer(config, opened.split("train", 24), data={"path": opened.address, "digest": opened.digest})
        trainer.train(3)
        folders.append(tmp_path_factory.mktemp("models") / f"model{seed}")
        trainer.save(folders[-1], trainer.evaluate(opened.split("val", 24)))
    return folders


@pytest.fixture(scope="module")
def model(checkpoints: list[Path]) -> Colorizer:
    return load_predictor(checkpoints[0])


@pytest.fixture(scope="module")
def told(model: Colorizer) -> Inspection:
    return look(model, model, "mine", "val")


def test_the_scores_are_those_of_the_split_beside_the_baselines(model: Colorizer, told: Inspection) -> None:
    assert told.scores == pytest.approx(dict(model.description.metrics), rel=1e-5)
    dataset = model.dataset
    assert told.baselines == baselines.score(dataset.split("train", 24), dataset.split("val", 24))
    assert "worse than the line copied: psnr " in "; ".join(told.verdicts)
    drawings = dataset.split("val", 24)
    assert told.seen.names == drawings.names
    worst = told.drawings["worst"][0]
    assert worst.position == int(np.argmax(told.seen.scores["mse"]))
    line, predicted, true, _ = worst.pictures
    assert (line[..., 0] == drawings.lines[worst.position, 0]).all()
    assert (true == drawings.colors[worst.position].transpose(1, 2, 0)).all()
    off = np.square((predicted.astype(float) - true) / 127.5).mean()
    assert off == pytest.approx(told.seen.scores["mse"].max(), rel=0.02)


def test_a_model_that_knows_its_training_drawings_by_heart_is_said_to(dataset: Path) -> None:
    train = Dataset.open(dataset).split("train", 24)
    settings = {**SMALL, "channels": 16, "flip": False, "steps_per_report": 400, "total_reports": 1}
    trainer = Trainer(TrainingConfig.from_dict(settings), train)
    trainer.train(400)
    model = Colorizer(trainer.shown, 24, dataset)
    told = look(model, model, "by heart", "val")
    (times,) = (float(said.split()[2]) for said in told.verdicts if said.startswith("overfits: validation "))
    assert times == pytest.approx(told.scores["mse"] / trainer.evaluate(train)["mse"], abs=0.051)
    # On the training drawings there is nothing to compare with.
    assert not [said for said in look(model, model, "by heart", "train").verdicts if "overfits" in said]


def test_errors_are_black_where_there_are_none_and_bright_where_they_are_large() -> None:
    true = np.zeros((3, 5, 7), np.float32)
    predicted = true.copy()
    predicted[:, 2, 3] = 1.0  # half of the range
    predicted[0, 4, 6] = 0.5
    picture = error_picture(predicted, true)
    assert picture.shape == (5, 7, 3)
    assert picture[2, 3].tolist() == [252, 255, 224]
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert 0 < int(picture[4, 6].sum()) < int(picture[2, 3].sum())
    assert (error_picture(-predicted, true) == picture).all()


def test_the_page_shows_all_and_can_do_nothing(told: Inspection) -> None:
    html = inspect_page.page(told)
    assert "<script" not in html
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    for one in (drawing for several in told.drawings.values() for drawing in several):
        assert f'alt="{told.seen.names[one.position]}: where it errs"' in html
    assert html.count("<img ") == 4 * sum(map(len, told.drawings.values())) + 1 + len(told.maps)
    assert re.findall(r"<h3>((?:down|up)\.\d)", html) == ["down.0", "down.1", "up.0", "up.1"]
    for said in ("Scores beside baselines", "The mean colour image", "Worse than the line copied", "lr_g 1e-05"):
        assert said in html
    assert f"{told.scores['psnr']:.2f} dB" in html


def test_names_of_drawings_are_shown_as_they_are_and_are_no_html(told: Inspection) -> None:
    evil = '<img src=x onerror="alert(1)">'
    seen = replace(told.seen, names=[evil] * len(told.seen.names), labels=[evil] * len(told.seen.names))
    html = inspect_page.page(replace(told, name=evil, mapped=evil, seen=seen, facts={evil: evil}, verdicts=[evil]))
    assert evil not in html
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;" in html


def test_pictures_beyond_the_budget_are_left_out_and_counted(told: Inspection, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = inspect_page.page(told)
    monkeypatch.setattr(inspect_page, "_BUDGET", 3000)
    monkeypatch.setattr(inspect_page, "_NETWORK_BUDGET", 3000)
    less = inspect_page.page(told)
    assert len(less) < len(whole)
    assert re.search(r"\d drawings have no room on the page", less)
    assert "no room" not in whole


def test_the_command_says_the_same_in_short_and_writes_the_page(
    checkpoints: list[Path], told: Inspection, tmp_path: Path
) -> None:
    shown = huetune_inspect(checkpoints[0], "-o", tmp_path / "new" / "page.html")
    assert shown.exit_code == 0, shown.output
    for words in (f"{told.scores['psnr']:.4g}", "the mean colour image", "verdict: worse than the line copied"):
        assert words in shown.output
    worst = told.drawings["worst"][0].position
    assert f"worst: {told.seen.names[worst]} (" in shown.output
    html = (tmp_path / "new" / "page.html").read_text()
    assert f"{told.scores['psnr']:.2f} dB" in html
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "page.html"]


def test_an_ensemble_is_looked_at_as_a_whole_and_the_page_lies_in_it(checkpoints: list[Path], tmp_path: Path) -> None:
    members = [Member(load_predictor(folder), folder) for folder in checkpoints]
    ensemble = Ensemble(members, Weighted(np.array([0.5, 0.5])), "mean")
    ensemble.save(tmp_path / "both")
    shown = huetune_inspect(tmp_path / "both")
    assert shown.exit_code == 0, shown.output
    html = (tmp_path / "both" / "inspect.html").read_text()
    assert "First filters" not in html  # of which of the two?
    first = members[0].predictor
    parts = [first.scores(ensemble(batch.inputs), batch.targets) for batch in first.batches("val")]
    assert f"{np.concatenate([part['psnr'] for part in parts]).mean():.2f} dB" in html
    Ensemble.load(tmp_path / "both")  # it is still one
    ensemble.save(tmp_path / "both")


@pytest.mark.usefixtures("cluster")
def test_a_run_stands_for_its_best_checkpoint_until_it_has_an_ensemble(
    dataset: Path, checkpoints: list[Path], tmp_path: Path
) -> None:
    space = {**SMALL, "data": str(dataset), "steps_per_report": 2, "total_reports": 1, "lr_g": tune.choice([1e-3])}
    results = Search(
        trainable=ColorizerTrial, space=space, metric="psnr", mode="max", trials=1, iterations=1, method=Random()
    ).run("one", str(tmp_path))
    shown = huetune_inspect(tmp_path / "one")
    assert shown.exit_code == 0, shown.output
    assert f"{results.best.score:.4g}" in shown.output
    assert "First filters" in (tmp_path / "one" / "inspect.html").read_text()
    members = [Member(load_predictor(folder), folder) for folder in checkpoints]
    Ensemble(members, Weighted(np.array([0.5, 0.5])), "mean").save(tmp_path / "one" / "ensemble")
    assert huetune_inspect(tmp_path / "one").exit_code == 0
    assert "First filters" not in (tmp_path / "one" / "inspect.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["MODEL", "--split", "test"], "read for the scores of an ensemble alone. Take --split val"),
        (["MODEL", "--split", "tset"], "Expected a split out of val, train, got 'tset'"),
        (["MODEL", "--data", "nowhere"], "not a dataset"),
        (["nowhere"], "Expected a checkpoint, an ensemble or a run at nowhere"),
        (["."], "found neither checkpoint.json nor ensemble.json there. Name a run"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_with_the_next_step(
    arguments: list[str], words: str, checkpoints: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [str(checkpoints[0]) if each == "MODEL" else each for each in arguments]
    shown = huetune_inspect(*given, "-o", "page.html")
    assert shown.exit_code == 1
    assert isinstance(shown.exception, SystemExit)
    assert words in " ".join(shown.output.split())
    assert not (tmp_path / "page.html").exists()


def test_a_page_that_cannot_be_written_is_named_as_it_was_asked_for(checkpoints: list[Path]) -> None:
    shown = huetune_inspect(checkpoints[0], "-o", "/proc/page.html")
    assert shown.exit_code == 1
    assert "Expected to write /proc/page.html, got: " in " ".join(shown.output.split())


def test_a_damaged_checkpoint_is_not_believed(checkpoints: list[Path], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(checkpoints[0], tmp_path / "copy")
    packed = bytearray((tmp_path / "copy" / "generator.safetensors").read_bytes())
    packed[-1] ^= 1
    (tmp_path / "copy" / "generator.safetensors").write_bytes(packed)
    shown = huetune_inspect(tmp_path / "copy")
    assert shown.exit_code == 1
    assert "is damaged" in " ".join(shown.output.split())


def test_a_split_is_read_through_once_and_the_drawings_that_are_shown_are_taken_from_it(
    model: Colorizer, told: Inspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training split may hold a million drawings, of which a few are wanted."""
    read, real = [], model.batches
    monkeypatch.setattr(model, "batches", lambda split: read.append(split) or real(split))
    again = look(model, model, "mine", "val")
    assert read == ["val"]
    for kind, several in told.drawings.items():
        for one, other in zip(several, again.drawings[kind], strict=True):
            assert all(np.array_equal(*both) for both in zip(one.pictures, other.pictures, strict=True))
