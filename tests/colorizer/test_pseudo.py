"""Line art that a model colours and is sure of becomes training data; what is in val or test never does."""

import io
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from typer.testing import CliRunner, Result

from colorizer.config import TrainingConfig
from colorizer.dataset import Dataset, sha256_of
from colorizer.drawings import draw_characters
from colorizer.images import read_rgb, to_square
from colorizer.inference import load_predictor
from colorizer.pseudo import PseudoError, _around_ink, add_pseudo, disagreement, mirrored
from colorizer.pseudo_command import pseudo
from colorizer.sampling import to_floats
from colorizer.training import Trainer
from ensembles import Ensemble, Member, Weighted

SIZE = 24
app = typer.Typer()
app.command()(pseudo)


def huetune_pseudo(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def trained(dataset: Path, folder: Path, **changes: Any) -> Path:
    settings = {"size": SIZE, "channels": 4, "levels": 2, "discriminator_channels": 4, "batch_size": 4}
    found = Dataset.open(dataset)
    origin = {"path": str(dataset), "digest": found.digest}
    trainer = Trainer(TrainingConfig.from_dict(settings | changes), found.split("train", SIZE), data=origin)
    trainer.train(20)
    trainer.save(folder)
    return folder


@pytest.fixture(scope="module")
def models(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    plain, other = (trained(dataset, root / f"seed{seed}", seed=seed) for seed in (0, 1))
    confident = trained(dataset, root / "confident", confidence=True)
    members = [Member(load_predictor(folder), folder) for folder in (plain, other)]
    Ensemble(members, Weighted(np.array([0.25, 0.75])), "weights").save(root / "ensemble")
    return {"plain": plain, "confident": confident, "ensemble": root / "ensemble"}


@pytest.fixture(scope="module")
def unlabelled(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10 new drawings; one of them twice; one of each split; a blank one, a sliver, and a file that is no image."""
    folder = tmp_path_factory.mktemp("unlabelled") / "art"
    (folder / "deep").mkdir(parents=True)
    for drawing in draw_characters(10, seed=99, size=32):
        Image.fromarray(drawing.line).resize((32, 40)).save(folder / f"{drawing.name}.png")
    (folder / "deep" / "again.png").write_bytes(min(folder.glob("*.png")).read_bytes())
    rows = pq.read_table(dataset / "drawings.parquet")
    for split in ("train", "val", "test"):
        line = rows.filter(pc.equal(rows["split"], split))["line"][0].as_py()["bytes"]
        (folder / f"from {split}.png").write_bytes(line)
    Image.new("L", (30, 20), 255).save(folder / "blank.png")
    sliver = Image.new("L", (90, 12), 255)
    ImageDraw.Draw(sliver).line((3, 3, 80, 9), fill=0, width=4)
    sliver.save(folder / "sliver.png")
    (folder / "broken.png").write_bytes(b"no image")
    (folder.parent / "LICENSE").write_text("of the art")
    return folder


LEFT_OUT = {
    "second of identical line art": 1,
    "identical line art in train": 1,
    "identical line art in val": 1,
    "identical line art in test": 1,
    "blank": 1,
    "too narrow at the model's size": 1,
    "not an image": 1,
}


def column(folder: Path, name: str) -> list[Any]:
    return pq.read_table(folder / "drawings.parquet", columns=[name])[name].to_pylist()


def picture(encoded: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded["bytes"])))


@pytest.mark.parametrize("kind", ["plain", "confident", "ensemble"])
def test_the_surest_half_is_added_to_train_and_everything_else_stays(
    kind: str, models: dict[str, Path], unlabelled: Path, dataset: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    told = huetune_pseudo(models[kind], unlabelled, "--dataset", dataset, "-o", new)
    assert told.exit_code == 0, told.output
    words = {"plain": "mirroring makes", "confident": "the model expects", "ensemble": "disagreement of 2 members"}
    for said in ("10 coloured", words[kind], "5 added, doubt ", "5 not added, doubt ", "next: huetune run"):
        assert said in told.output
    assert sorted(file.name for file in new.iterdir()) == ["LICENSE", "dataset.json", "drawings.parquet"]
    before, after = Dataset.open(dataset), Dataset.open(new)
    assert after.counts == {**before.counts, "train": before.counts["train"] + 5}
    for split in ("val", "test"):
        ours, theirs = after.split(split, SIZE), before.split(split, SIZE)
        assert ours.names == theirs.names
        np.testing.assert_array_equal(ours.lines, theirs.lines)
        np.testing.assert_array_equal(ours.colors, theirs.colors)
        assert ours.origins == []
    train = after.split("train", SIZE)
    assert train.origins == ["given"] * before.counts["train"] + ["pseudo"] * 5
    assert len(set(train.groups[-5:])) == 5
    assert not set(train.groups[-5:]) & {group for split in before.counts for group in before.split(split, SIZE).groups}
    held = {line.tobytes() for split in ("val", "test") for line in before.split(split, SIZE).lines}
    assert not held & {line.tobytes() for line in train.lines}
    description = json.loads((new / "dataset.json").read_text())
    assert {reason: count for reason, (count, _) in description["pseudo"][0]["left_out"].items()} == LEFT_OUT
    assert description["groups"] == len(set(column(new, "group")))
    assert description["pseudo"][0]["model"] == models[kind].name
    # It is what the model says, read back at its size.
    model = load_predictor(models[kind]) if kind != "ensemble" else Ensemble.load(models[kind])
    said = model(to_floats(np.asarray(train.lines[-5:])))
    inside = (..., slice(2, 21))  # 32 x 40 pixels are 19 x 24 here; around them is paper
    painted = to_floats(np.asarray(train.colors[-5:]))
    np.testing.assert_allclose(painted[inside], said[inside], atol=1 / 127.5)
    assert (painted[..., :2] == 1).all()


def test_what_is_kept_are_the_drawings_that_the_members_agree_on(
    models: dict[str, Path], unlabelled: Path, dataset: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    assert huetune_pseudo(models["ensemble"], unlabelled, "--dataset", dataset, "-o", new, "--keep", 0.3).exit_code == 0
    members = [member.predictor for member in Ensemble.load(models["ensemble"]).members]
    doubts = {}
    for file in unlabelled.glob("*.png"):
        if file.stem[0].isdigit() or file.stem.startswith("character"):
            square = np.asarray(to_square(read_rgb(file).convert("L"), SIZE))
            rows, columns = (np.flatnonzero((square < 128).any(axis=axis)) for axis in (1, 0))
            box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            one, two = (member(to_floats(square)[None, None])[0] for member in members)
            doubts[f"pseudo/{file.stem}"] = np.sqrt((((one - two) / 2) ** 2)[(slice(None), *box)].mean())
    assert len(doubts) == 10
    surest = sorted(doubts, key=lambda name: doubts[name])[:3]
    assert sorted(column(new, "name")[-3:]) == sorted(surest)
    [about] = json.loads((new / "dataset.json").read_text())["pseudo"]
    assert about["doubt"] == pytest.approx([doubts[surest[0]], doubts[surest[2]]], rel=1e-4)


def test_statistics_counts_and_labels_of_the_new_dataset_are_its_own(
    models: dict[str, Path], unlabelled: Path, dataset: Path, tmp_path: Path
) -> None:
    assert huetune_pseudo(models["plain"], unlabelled, "--dataset", dataset, "-o", tmp_path / "new").exit_code == 0
    found = Dataset.open(tmp_path / "new")
    train = found.split("train", 64)
    colors = to_floats(np.asarray(train.colors)).astype(np.float64)
    lines = to_floats(np.asarray(train.lines)).astype(np.float64)
    said = found.statistics
    np.testing.assert_allclose(said["color"]["mean"], colors.mean(axis=(0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(said["color"]["std"], colors.std(axis=(0, 2, 3)), atol=1e-6)
    assert said["line"]["mean"] == pytest.approx(lines.mean(), abs=1e-6)
    rows = pq.read_table(tmp_path / "new" / "drawings.parquet")
    rows = rows.filter(pc.equal(rows["split"], "train"))
    densities = [float((picture(line) < 128).mean()) for line in rows["line"].to_pylist()]
    assert said["line"]["density"] == pytest.approx(np.mean(densities), abs=1e-6)
    np.testing.assert_allclose(said["density"], np.quantile(densities, [0.05, 0.5, 0.95]), atol=1e-6)
    assert rows["width"].to_pylist()[-5:] == [picture(color).shape[1] for color in rows["color"].to_pylist()[-5:]]
    assert set(rows["width"].to_pylist()[-5:]) == {19}  # 32 of 40 pixels, at a size of 24


def test_a_dataset_may_be_added_to_again_and_what_is_in_it_is_known(
    models: dict[str, Path], unlabelled: Path, dataset: Path, tmp_path: Path
) -> None:
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    assert huetune_pseudo(models["plain"], unlabelled, "--dataset", dataset, "-o", one).exit_code == 0
    assert huetune_pseudo(models["plain"], unlabelled, "--dataset", one, "-o", two, "--keep", 1).exit_code == 0
    assert column(two, "origin").count("pseudo") == 10
    assert [entry["drawings"] for entry in json.loads((two / "dataset.json").read_text())["pseudo"]] == [5, 5]
    folders = Counter(name.partition("/")[0] for name in column(two, "name") if name.startswith("pseudo"))
    assert folders == {"pseudo": 5, "pseudo-2": 5}  # what is added later takes no name of what was added before
    nothing = huetune_pseudo(models["plain"], unlabelled, "--dataset", two, "-o", three)
    assert nothing.exit_code == 1
    assert "found none (" in nothing.output
    assert "not an image: 1 (broken)" in nothing.output
    assert "identical line art in train: 12" in nothing.output
    assert not three.exists()


def without(dataset: Path, target: Path, columns: set[str]) -> Path:
    """A copy as earlier versions wrote it, without some columns."""
    target.mkdir()
    rows = pq.read_table(dataset / "drawings.parquet").drop_columns(list(columns))
    known = json.loads(rows.schema.metadata[b"huggingface"])
    known["info"]["features"] = {k: v for k, v in known["info"]["features"].items() if k not in columns}
    pq.write_table(rows.replace_schema_metadata({b"huggingface": json.dumps(known)}), target / "drawings.parquet")
    description = json.loads((dataset / "dataset.json").read_text())
    description |= {"digest": sha256_of(target / "drawings.parquet"), "statistics": {}}
    (target / "dataset.json").write_text(json.dumps(description))
    return target


def test_a_dataset_of_an_earlier_version_gets_the_columns_that_it_lacks(
    models: dict[str, Path], unlabelled: Path, dataset: Path, tmp_path: Path
) -> None:
    later = {"label", "origin", "width", "height"}
    old, new = without(dataset, tmp_path / "old", later), tmp_path / "new"
    told = huetune_pseudo(models["plain"], unlabelled, "--dataset", old, "-o", new)
    assert told.exit_code == 0, told.output
    count = sum(Dataset.open(dataset).counts.values())
    assert column(new, "origin") == ["given"] * count + ["pseudo"] * 5
    assert column(new, "label") == [""] * (count + 5)
    assert column(new, "width") == [0] * count + [19] * 5
    schema = pq.read_schema(new / "drawings.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert set(features) == set(schema.names)
    assert features["width"] == {"dtype": "int32", "_type": "Value"}
    assert set(Dataset.open(new).statistics) == {"line", "color", "density"}


def test_columns_of_somebody_else_stay_and_are_empty_for_what_is_added(
    models: dict[str, Path], unlabelled: Path, dataset: Path, tmp_path: Path
) -> None:
    other = without(dataset, tmp_path / "other", set())
    rows = pq.read_table(other / "drawings.parquet")
    pq.write_table(rows.append_column("year", pa.array(range(len(rows)))), other / "drawings.parquet")
    description = json.loads((other / "dataset.json").read_text())
    description["digest"] = sha256_of(other / "drawings.parquet")
    (other / "dataset.json").write_text(json.dumps(description))
    told = huetune_pseudo(models["plain"], unlabelled, "--dataset", other, "-o", tmp_path / "new")
    assert told.exit_code == 0, told.output
    assert column(tmp_path / "new", "year") == [*range(len(rows)), *[None] * 5]


def test_licences_of_the_dataset_and_of_the_art_lie_beside_each_other(
    models: dict[str, Path], unlabelled: Path, dataset: Path, tmp_path: Path
) -> None:
    other, new = without(dataset, tmp_path / "other", set()), tmp_path / "new"
    (other / "LICENSE").write_text("of the dataset")
    description = json.loads((other / "dataset.json").read_text())
    (other / "dataset.json").write_text(json.dumps({**description, "licences": ["LICENSE"]}))
    told = huetune_pseudo(models["plain"], unlabelled, "--dataset", other, "-o", new)
    assert told.exit_code == 0, told.output
    of_the_art = f"{unlabelled.parent.name}-LICENSE"
    assert json.loads((new / "dataset.json").read_text())["licences"] == ["LICENSE", of_the_art]
    assert (new / "LICENSE").read_text() == "of the dataset"
    assert (new / of_the_art).read_text() == "of the art"


def test_labels_of_the_drawings_stay_and_are_counted_by_split(
    models: dict[str, Path], unlabelled: Path, dataset: Path, tmp_path: Path
) -> None:
    labelled = without(dataset, tmp_path / "labelled", {"label"})
    rows = pq.read_table(labelled / "drawings.parquet")
    labels = ["cat" if number % 3 else "" for number in range(len(rows))]
    pq.write_table(rows.append_column("label", pa.array(labels)), labelled / "drawings.parquet")
    description = json.loads((labelled / "dataset.json").read_text())
    description["digest"] = sha256_of(labelled / "drawings.parquet")
    (labelled / "dataset.json").write_text(json.dumps(description))
    told = huetune_pseudo(models["plain"], unlabelled, "--dataset", labelled, "-o", tmp_path / "new")
    assert told.exit_code == 0, told.output
    assert column(tmp_path / "new", "label") == [*labels, *[""] * 5]
    expected: dict[str, int] = {}
    for label, split in zip(labels, column(dataset, "split"), strict=True):
        if label:
            expected[split] = expected.get(split, 0) + 1
    assert json.loads((tmp_path / "new" / "dataset.json").read_text())["labels"] == {"cat": expected}


def test_a_training_learns_from_what_was_added(
    models: dict[str, Path], unlabelled: Path, dataset: Path, tmp_path: Path
) -> None:
    assert huetune_pseudo(models["plain"], unlabelled, "--dataset", dataset, "-o", tmp_path / "new").exit_code == 0
    assert load_predictor(trained(tmp_path / "new", tmp_path / "model")).description is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: {**a, "--keep": 0}, "Expected 0 < keep <= 1, got keep=0"),
        (lambda a: {**a, "--keep": 1.5}, "got keep=1.5"),
        (lambda a: {**a, "-o": a["--dataset"]}, "exists and is not overwritten"),
        (lambda a: {**a, "lines": a["lines"] / "nowhere"}, "Expected a folder of line drawings at"),
        (lambda a: {**a, "--dataset": a["lines"]}, "is not a dataset"),
        (lambda a: {**a, "model": a["lines"]}, "found neither checkpoint.json nor ensemble.json there. Name a run"),
    ],
)
def test_what_cannot_be_done_is_named_and_nothing_is_left(
    change: Callable[[dict[str, Any]], dict[str, Any]],
    words: str,
    models: dict[str, Path],
    unlabelled: Path,
    dataset: Path,
    tmp_path: Path,
) -> None:
    arguments = change(
        {"model": models["plain"], "lines": unlabelled, "--dataset": dataset, "-o": tmp_path / "new", "--keep": 0.5}
    )
    model, lines = arguments.pop("model"), arguments.pop("lines")
    told = huetune_pseudo(model, lines, *[part for option in arguments.items() for part in option])
    assert told.exit_code == 1
    assert words in " ".join(told.output.split())
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_fails_half_way_leaves_nothing(unlabelled: Path, dataset: Path, tmp_path: Path) -> None:
    def failing(lines: np.ndarray) -> Any:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        add_pseudo(Dataset.open(dataset), unlabelled, tmp_path, failing, SIZE)
    assert not (tmp_path / "dataset.json").exists()

    def diverged(lines: np.ndarray) -> Any:
        return np.full((len(lines), 3, SIZE, SIZE), np.nan, np.float32), np.zeros_like(lines)

    with pytest.raises(PseudoError, match=r"Expected colours that are numbers for .*, got NaN"):
        add_pseudo(Dataset.open(dataset), unlabelled, tmp_path, diverged, SIZE)
    with pytest.raises(PseudoError, match="got keep=-1"):
        add_pseudo(Dataset.open(dataset), unlabelled, tmp_path, failing, SIZE, keep=-1)


def test_ctrl_c_leaves_nothing_and_says_so(models: dict[str, Path], dataset: Path, tmp_path: Path) -> None:
    art = tmp_path / "art"
    art.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500), dtype=np.uint8)
    Image.fromarray(noise).save(art / "000.png")
    for i in range(1, 300):  # work for half a minute
        (art / f"{i:03}.png").symlink_to("000.png")
    new = tmp_path / "out" / "new"
    command = [sys.executable, "-c", "from search.cli import main; main()", "pseudo", models["plain"], art]
    with subprocess.Popen([*command, "--dataset", dataset, "-o", new], stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob("out/.new-*/coloured.parquet")) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert (process.returncode, said) == (130, "interrupted: nothing was written\n")
    assert not list(new.parent.iterdir())


def test_doubts_are_variances_and_differences_of_mirrored_drawings() -> None:
    rng = np.random.default_rng(0)
    members = [rng.normal(size=(2, 3, 5, 7)).astype(np.float32) for _ in range(4)]
    np.testing.assert_allclose(disagreement(members), np.var(members, axis=0).mean(axis=1, keepdims=True), rtol=1e-5)
    lines = rng.normal(size=(2, 1, 5, 7)).astype(np.float32)
    assert (mirrored(lambda x: np.repeat(x, 3, axis=1), lines) == 0).all()
    ramp = np.arange(7, dtype=np.float32)
    doubt = mirrored(lambda x: np.repeat(x, 3, axis=1) + ramp, lines)
    np.testing.assert_allclose(doubt, np.broadcast_to((ramp - ramp[::-1]) ** 2, (2, 1, 5, 7)), rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1))
def test_the_rectangle_around_ink_is_the_smallest_that_holds_all_of_it(dark: set[tuple[int, int]]) -> None:
    square = np.full((1, 1, 5, 7), 255, np.uint8)
    for row, column_ in dark:
        square[0, 0, row, column_] = 0
    rows, columns = zip(*dark, strict=True)
    expected = np.zeros((5, 7), bool)
    expected[min(rows) : max(rows) + 1, min(columns) : max(columns) + 1] = True
    np.testing.assert_array_equal(_around_ink(square)[0, 0], expected)


def test_what_looks_like_a_drawing_of_validation_or_test_is_left_out(dataset: Path, tmp_path: Path) -> None:
    """A speck in a corner makes other pixels of it, which no digest knows."""
    rows, art = pq.read_table(dataset / "drawings.parquet"), tmp_path / "art"
    art.mkdir()
    for row in rows.to_pylist():
        line = picture(row["line"]).copy()
        line[:2, :2] = 225
        Image.fromarray(line).save(art / f"{row['name']}.png")

    def sure(lines: np.ndarray) -> Any:
        return np.zeros((len(lines), 3, SIZE, SIZE), np.float32), np.zeros_like(lines)

    new = tmp_path / "new"
    new.mkdir()
    added = add_pseudo(Dataset.open(dataset), art, new, sure, SIZE, keep=1)
    counts = Dataset.open(dataset).counts
    assert set(added.left_out) == {"looks like line art in val or test"}
    assert added.left_out["looks like line art in val or test"].count >= counts["val"] + counts["test"]
    named = {f"pseudo/{row['name']}" for row in rows.to_pylist() if row["split"] != "train"}
    assert added.kept > 0
    assert not named & set(column(new, "name"))


def test_a_description_that_calls_the_data_a_licence_does_no_harm(
    models: dict[str, Path], unlabelled: Path, dataset: Path, tmp_path: Path
) -> None:
    other, new = without(dataset, tmp_path / "other", set()), tmp_path / "new"
    description = json.loads((other / "dataset.json").read_text())
    names = ["drawings.parquet", "dataset.json", "../other/dataset.json", "..", 7]
    (other / "dataset.json").write_text(json.dumps({**description, "licences": names}))
    told = huetune_pseudo(models["plain"], unlabelled, "--dataset", other, "-o", new)
    assert told.exit_code == 0, told.output
    assert json.loads((new / "dataset.json").read_text())["licences"] == ["LICENSE"]
    assert len(Dataset.open(new).split("train", SIZE)) == Dataset.open(dataset).counts["train"] + 5


def test_names_in_brackets_are_told_as_they_are(models: dict[str, Path], dataset: Path, tmp_path: Path) -> None:
    art = tmp_path / "art"
    (art / "[").mkdir(parents=True)
    (art / "[" / "cat].png").write_bytes(b"no image")
    (art / "[bold]:cat:.png").write_bytes(b"no image")
    (drawing,) = draw_characters(1, seed=99, size=32)
    Image.fromarray(drawing.line).save(art / "good.png")
    told = huetune_pseudo(models["plain"], art, "--dataset", dataset, "-o", tmp_path / "[new]")
    assert told.exit_code == 0, told.output
    assert "not an image: 2 ([/cat], [bold]:cat:)" in told.output
