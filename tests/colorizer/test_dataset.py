"""A dataset is decoded once per machine and never half-read."""

import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from colorizer.dataset import Dataset, DatasetError, Drawings, cache_folder
from colorizer.images import read_rgb, to_square
from colorizer.prepare import prepare

# What the package's __init__ offers beside the data is not needed here, and slow to import.
WITHOUT_INIT = """
import importlib.util, sys, types
package = types.ModuleType("colorizer")
package.__path__ = importlib.util.find_spec("colorizer").submodule_search_locations
sys.modules["colorizer"] = package
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """color/, line/ and the dataset made of them, out/: 10 drawings of 30 x 20 pixels, all different."""
    root = tmp_path_factory.mktemp("drawings")
    for i in range(10):
        for kind, fill in (("color", (25 * i, 120, 60)), ("line", (255, 255, 255))):
            (root / kind).mkdir(exist_ok=True)
            image = Image.new("RGB", (30, 20), "white")
            ImageDraw.Draw(image).rectangle((2 + i, 3, 12 + i, 15), fill=fill, outline=(0, 0, 0))
            image.save(root / kind / f"{i}.png")
    prepare(root / "color", root / "out", root / "line")
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def copy_of(dataset: Path, target: Path) -> Path:
    target.mkdir()
    for file in dataset.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def parquet_of(columns: dict[str, list[str]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def no_decoding(encoded: bytes) -> None:
    raise AssertionError("decoded again")


def test_a_split_holds_the_drawings_laid_into_squares(folders: Path) -> None:
    dataset = Dataset.open(str(folders / "out"))
    names = set()
    for split, count in dataset.counts.items():
        drawings = dataset.split(split, 16)
        assert len(drawings) == len(drawings.names) == count
        assert (drawings.lines.shape, drawings.colors.shape) == ((count, 1, 16, 16), (count, 3, 16, 16))
        assert (drawings.lines.dtype, drawings.colors.dtype, drawings.groups.dtype) == (
            np.uint8,
            np.uint8,
            np.int64,
        )
        for name, line, color in zip(drawings.names, drawings.lines, drawings.colors, strict=True):
            expected = to_square(read_rgb(folders / f"color/{name}.png"), 16)
            np.testing.assert_array_equal(color.transpose(1, 2, 0), expected)
            expected = to_square(read_rgb(folders / f"line/{name}.png").convert("L"), 16)
            np.testing.assert_array_equal(line[0], expected)
        names |= set(drawings.names)
    assert names == {str(i) for i in range(10)}


def test_the_arrays_are_read_only_maps(folders: Path) -> None:
    drawings = Dataset.open(folders / "out").split("train", 16)
    assert isinstance(drawings.colors, np.memmap)
    for array in (drawings.groups, drawings.lines, drawings.colors):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_second_call_decodes_nothing_and_another_size_does(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.open(folders / "out")
    first = dataset.split("train", 16)
    monkeypatch.setattr("colorizer.dataset.read_rgb", no_decoding)
    again = Dataset.open(folders / "out").split("train", 16)
    assert again.names == first.names
    np.testing.assert_array_equal(again.colors, first.colors)
    with pytest.raises(AssertionError, match="decoded again"):
        dataset.split("train", 17)


def test_a_copy_of_a_dataset_shares_the_cache(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Dataset.open(folders / "out").split("val", 16)
    monkeypatch.setattr("colorizer.dataset.read_rgb", no_decoding)
    Dataset.open(copy_of(folders / "out", tmp_path / "copy")).split("val", 16)


def rewritten(dataset: Path, target: Path, change: Callable[[pa.Table], pa.Table], **said: Any) -> Path:
    """A copy with other columns, described as what it is."""
    copy_of(dataset, target)
    pq.write_table(change(pq.read_table(dataset / "drawings.parquet")), target / "drawings.parquet")
    description = json.loads((target / "dataset.json").read_text())
    description["digest"] = hashlib.sha256((target / "drawings.parquet").read_bytes()).hexdigest()
    (target / "dataset.json").write_text(json.dumps({**description, **said}))
    return target


def test_a_dataset_of_an_earlier_version_is_read_as_one_that_says_nothing_more(folders: Path, tmp_path: Path) -> None:
    old = rewritten(
        folders / "out", tmp_path / "old", lambda rows: rows.select(["name", "split", "group", "line", "color"])
    )
    description = json.loads((old / "dataset.json").read_text())
    for name in ("statistics", "labels"):
        description.pop(name, None)
    (old / "dataset.json").write_text(json.dumps(description))
    found = Dataset.open(old)
    assert found.statistics == {}
    drawings = found.split("train", 16)
    assert (drawings.labels, drawings.sides, drawings.origins) == ([], None, [])
    assert drawings.names == Dataset.open(folders / "out").split("train", 16).names


def test_labels_sides_and_origins_are_read_row_by_row(folders: Path, tmp_path: Path) -> None:
    def labelled(rows: pa.Table) -> pa.Table:
        rows = rows.select(["name", "split", "group", "line", "color"])
        numbers = [int(name) for name in rows["name"].to_pylist()]
        rows = rows.append_column("label", pa.array(["even" if number % 2 == 0 else "" for number in numbers]))
        rows = rows.append_column("origin", pa.array(["pseudo" if number > 6 else "given" for number in numbers]))
        rows = rows.append_column("width", pa.array([100 + number for number in numbers], pa.int32()))
        return rows.append_column("height", pa.array([7 * number for number in numbers], pa.int32()))

    statistics = {"line": {"mean": 0.5, "std": 0.25, "density": 0.1}}
    new = Dataset.open(rewritten(folders / "out", tmp_path / "new", labelled, statistics=statistics))
    assert new.statistics == statistics
    seen = 0
    for split in ("train", "val", "test"):
        for drawings in (new.split(split, 16), new.split(split, 16)):  # decoded, and from the cache
            numbers = [int(name) for name in drawings.names]
            origins = ["pseudo" if number > 6 else "given" for number in numbers]
            assert drawings.labels == (
                ["even" if n % 2 == 0 else "" for n in numbers] if any(n % 2 == 0 for n in numbers) else []
            )
            assert drawings.origins == (origins if "pseudo" in origins else [])
            assert drawings.sides is not None
            assert drawings.sides.dtype == np.int32
            np.testing.assert_array_equal(drawings.sides, [(100 + n, 7 * n) for n in numbers])
            seen += len(numbers)
    assert seen == 20


def test_chosen_drawings_keep_all_that_is_known_of_them() -> None:
    rng = np.random.default_rng(0)
    lines, colors = (rng.integers(0, 256, (4, channels, 5, 5), dtype=np.uint8) for channels in (1, 3))
    bare = Drawings(list("abcd"), np.arange(4), lines, colors)
    full = Drawings(list("abcd"), np.arange(4), lines, colors, list("wxyz"), np.arange(8, dtype=np.int32).reshape(4, 2))
    rows = np.array([2, 0])
    assert bare.chosen(rows).labels == []
    assert bare.chosen(rows).sides is None
    some = full.chosen(rows, colors[:2])
    assert (some.names, some.labels, some.origins) == (["c", "a"], ["y", "w"], [])
    np.testing.assert_array_equal(some.sides, [(4, 5), (0, 1)])
    np.testing.assert_array_equal(some.lines, lines[rows])
    np.testing.assert_array_equal(some.colors, colors[:2])
    np.testing.assert_array_equal(full.chosen(rows).colors, colors[rows])
    np.testing.assert_array_equal(some.groups, rows)


def test_processes_that_start_together_decode_once(folders: Path, tmp_path: Path) -> None:
    script = """
import time
from pathlib import Path
from colorizer import dataset
decoded, real = [], dataset.read_rgb
def counting(encoded):
    decoded.append(1)
    time.sleep(0.03)
    return real(encoded)
dataset.read_rgb = counting
folder, signals, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
(signals / f"ready-{name}").touch()
while not (signals / "go").exists():
    time.sleep(0.001)
drawings = dataset.Dataset.open(folder).split("train", 16)
print(len(decoded), len(drawings), int(drawings.colors.sum()))
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WITHOUT_INIT + script, str(folders / "out"), str(tmp_path), str(i)],
            stdout=subprocess.PIPE, text=True,
        )
        for i in range(3)
    ]  # fmt: skip
    deadline = time.monotonic() + 90
    while not all((tmp_path / f"ready-{i}").exists() for i in range(3)) and time.monotonic() < deadline:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    results = [process.communicate(timeout=90)[0].split() for process in processes]
    count = Dataset.open(folders / "out").counts["train"]
    assert sorted(int(result[0]) for result in results) == [0, 0, 2 * count]
    assert {tuple(result[1:]) for result in results} == {(str(count), results[0][2])}


@pytest.mark.parametrize("name", ["colors.npy", "lines.npy", "groups.npy", "texts.json", "sides.npy"])
@pytest.mark.parametrize("damage", ["cut", "longer", "empty", "gone", "other"])
def test_a_damaged_cache_entry_is_made_anew(folders: Path, cache: Path, name: str, damage: str) -> None:
    dataset = Dataset.open(folders / "out")
    whole = np.array(dataset.split("train", 16).colors)
    (file,) = cache.glob(f"*/{name}")
    content = file.read_bytes()
    replaced = {"cut": content[:-1], "longer": content + b"]", "empty": b"", "other": b"[1]"}
    file.unlink() if damage == "gone" else file.write_bytes(replaced[damage])
    drawings = dataset.split("train", 16)
    np.testing.assert_array_equal(drawings.colors, whole)
    assert drawings.names
    assert file.read_bytes() == content


def test_what_a_killed_process_left_is_no_obstacle(folders: Path, cache: Path) -> None:
    dataset = Dataset.open(folders / "out")
    dataset.split("train", 16)
    (entry,) = cache.glob("*-train-16-*[!k]")
    entry.rename(entry.with_name(entry.name + ".partial"))
    (entry.with_name(entry.name + ".partial") / "colors.npy").write_bytes(b"half")
    assert len(dataset.split("train", 16)) == dataset.counts["train"]
    assert not list(cache.glob("*.partial"))


def test_arrays_that_hold_objects_are_never_unpickled(folders: Path, cache: Path) -> None:
    dataset = Dataset.open(folders / "out")
    dataset.split("train", 16)
    (file,) = cache.glob("*/groups.npy")
    np.save(file, np.array([{}] * dataset.counts["train"], dtype=object), allow_pickle=True)
    assert dataset.split("train", 16).groups.dtype == np.int64


def test_a_changed_parquet_file_is_noticed(folders: Path, tmp_path: Path, cache: Path) -> None:
    copy = copy_of(folders / "out", tmp_path / "copy")
    content = bytearray((copy / "drawings.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "drawings.parquet").write_bytes(content)
    with pytest.raises(DatasetError, match=r"drawings\.parquet has changed.*prepare the dataset again"):
        Dataset.open(copy).split("train", 16)
    assert not list(cache.glob("*[!k]"))


def test_a_file_that_is_no_table_of_drawings_is_refused(folders: Path, tmp_path: Path) -> None:
    for name, content in (("words", b"no parquet"), ("other", parquet_of({"split": ["train"], "name": ["a"]}))):
        copy = copy_of(folders / "out", tmp_path / name)
        (copy / "drawings.parquet").write_bytes(content)
        description = json.loads((copy / "dataset.json").read_text())
        description["digest"] = hashlib.sha256(content).hexdigest()
        (copy / "dataset.json").write_text(json.dumps(description))
        with pytest.raises(DatasetError, match=r"drawings\.parquet holds no drawings"):
            Dataset.open(copy).split("train", 16)


def test_counts_that_disagree_with_the_drawings_are_noticed(folders: Path, tmp_path: Path) -> None:
    copy = copy_of(folders / "out", tmp_path / "copy")
    description = json.loads((copy / "dataset.json").read_text())
    description["counts"]["val"] += 1
    (copy / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(DatasetError, match=r"holds 2 drawings of split val, but its dataset\.json says 3"):
        Dataset.open(copy).split("val", 16)


def test_what_is_no_dataset_is_refused_with_the_next_step(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"it is no folder.*huetune prepare"):
        Dataset.open(tmp_path / "absent")
    with pytest.raises(DatasetError, match=r"it holds no dataset\.json.*huetune prepare"):
        Dataset.open(folders / "color")
    copy = copy_of(folders / "out", tmp_path / "copy")
    (copy / "drawings.parquet").unlink()
    with pytest.raises(DatasetError, match=r"no drawings\.parquet"):
        Dataset.open(copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "says None"),
        ('{"format": "huetune-dataset", "version": 99}', r"version 1, but says \('huetune-dataset', 99\)"),
        ('{"format": "huetune-dataset", "version": 1, "digest": "0"}', "should hold a digest and counts"),
        (
            '{"format": "huetune-dataset", "version": 1, "digest": "0", "counts": {"train": "x"}}',
            "counts of train",
        ),
    ],
)
def test_a_description_of_another_kind_is_refused(folders: Path, tmp_path: Path, text: str, message: str) -> None:
    copy = copy_of(folders / "out", tmp_path / "copy")
    (copy / "dataset.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        Dataset.open(copy)


def test_wrong_arguments_are_refused(folders: Path) -> None:
    dataset = Dataset.open(folders / "out")
    with pytest.raises(ValueError, match=r"split out of train, val, test, got 'tset'"):
        dataset.split("tset", 16)
    with pytest.raises(ValueError, match=r"at least 8 pixels, got 7"):
        dataset.split("train", 7)


def test_a_cache_that_cannot_be_written_says_which_setting_to_change(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("HUETUNE_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(DatasetError, match=r"file/cache.* set HUETUNE_CACHE"):
        Dataset.open(folders / "out").split("train", 16)


def test_the_cache_lies_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("HUETUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/huetune"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/huetune"


def test_preparing_and_reading_load_neither_torch_nor_ray() -> None:
    script = """
import colorizer.prepare
print([name for name in ("torch", "kornia", "ray") if name in sys.modules])
"""
    command = [sys.executable, "-c", WITHOUT_INIT + script]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
