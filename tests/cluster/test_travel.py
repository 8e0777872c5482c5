"""What travels to a cluster, and what is refused before anything is sent."""

import os
from pathlib import Path
from zipfile import ZipFile

import pytest
from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env.packaging import create_package

from search.cluster.travel import LEFT_OUT, Luggage, check_options, check_place, check_shared, in_words, pack
from search.errors import RunError

S3 = "s3://bucket/runs?endpoint_override=http%3A%2F%2F127.0.0.1%3A5055&scheme=http"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name, text in {
        "search.py": "x" * 1000,
        "src/deep/größe.py": "y" * 2000,
        "src/runs/code.py": "a package may have this name",
        "src/.gitignore": "*.bin\n",
        "src/weights.bin": "left out by the .gitignore beside it",
        ".gitignore": "secret.txt\n",
        "secret.txt": "left out by .gitignore",
        ".rayignore": "data/\n",
        "data/large.txt": "left out by .rayignore",
        ".git/config": "never",
        ".venv/lib/package.py": "never",
        "runs/quick/search.json": "never",
        ".demo/dataset.parquet": "never",
        "src/__pycache__/search.pyc": "never",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def package(folder: Path, target: Path) -> Path:
    """What Ray would upload."""
    excludes = [*get_runtime_env_default_excludes(), *LEFT_OUT]
    create_package(str(folder), target, include_gitignore=True, excludes=excludes)
    return target


def test_what_travels_is_what_ray_packs_to_the_byte(project: Path, tmp_path: Path) -> None:
    luggage = pack(project)
    zipped = package(project, tmp_path / "package.zip")
    assert sorted(luggage.files) == [
        ".gitignore",
        ".rayignore",
        "search.py",
        "src/.gitignore",
        "src/deep/größe.py",
        "src/runs/code.py",
    ]
    with ZipFile(zipped) as archive:
        assert sorted(archive.namelist()) == sorted(luggage.files)
    assert luggage.size == zipped.stat().st_size
    assert str(luggage).startswith("6 files, ")


def test_gitignore_does_not_count_where_ray_is_told_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "1")
    files = pack(project).files
    assert "secret.txt" in files
    assert "data/large.txt" not in files


def test_the_limit_is_the_last_size_that_is_taken(project: Path) -> None:
    size = pack(project).size
    assert pack(project, limit=size).size == size
    with pytest.raises(RunError, match="Expected at most"):
        pack(project, limit=size - 1)


def test_a_folder_that_is_too_large_is_refused_with_what_weighs_most(tmp_path: Path) -> None:
    for name, mebibytes in {"data/big.npy": 90, "data/notes.txt": 0, "models/a.pt": 8, "code.py": 0}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, mebibytes * 2**20 + 10)
    for number in range(300):
        (tmp_path / "data" / "images").mkdir(exist_ok=True)
        (tmp_path / "data" / "images" / f"{number}.png").touch()
        os.truncate(tmp_path / "data" / "images" / f"{number}.png", 2**17)
    with pytest.raises(RunError) as refusal:
        pack(tmp_path)
    told = [line.split() for line in str(refusal.value).splitlines()[1:]]
    assert "Expected at most 100.0 MiB to send to the cluster, got 304 files, 135.5 MiB" in str(refusal.value)
    assert [(line[0], line[-1]) for line in told[:3]] == [
        ("90.0", "data/big.npy"),
        ("37.5", "data/images/"),
        ("8.0", "models/a.pt"),
    ]
    assert ".rayignore" in str(refusal.value)
    assert "--working-dir" in str(refusal.value)


def test_never_more_than_five_are_named() -> None:
    largest = Luggage(Path("/"), {f"folder/{n}": n for n in range(9)}).largest()
    assert largest == [(f"folder/{n}", n) for n in (8, 7, 6, 5, 4)]


def test_no_folder_is_named() -> None:
    with pytest.raises(RunError, match="found none at /absent"):
        pack(Path("/absent"))


@pytest.mark.parametrize("place", ["runs", "/mnt/runs", "./s3:/bucket", "file:///mnt/runs", "../mnt/runs"])
def test_runs_on_the_disk_of_this_machine_are_refused(place: str) -> None:
    with pytest.raises(RunError, match=r"on the disk of this one.*s3://bucket/runs.*--shared"):
        check_place("--storage", place, [])


@pytest.mark.parametrize(
    ("place", "shared"),
    [(S3, []), ("gs://bucket/runs", []), ("/mnt/runs", ["/mnt"]), ("file:///mnt/runs", ["/home", "/mnt"])],
)
def test_runs_in_shared_storage_are_taken(place: str, shared: list[str]) -> None:
    check_place("--storage", place, [Path(folder) for folder in shared])


@pytest.mark.parametrize("place", ["mnt/runs", "/mnt/../home/runs", "/mntother"])
def test_what_only_looks_as_if_it_lay_in_the_shared_folder_is_refused(place: str) -> None:
    with pytest.raises(RunError, match="does not lie under /mnt"):
        check_place("--storage", place, [Path("/mnt")])


def test_a_shared_folder_is_named_from_the_root_on() -> None:
    check_shared([Path("/mnt")])
    with pytest.raises(RunError, match="absolute path, got 'mnt'"):
        check_shared([Path("/mnt"), Path("mnt")])


def test_options_that_name_something_on_this_disk_are_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.parent)
    for options, words in {
        ("data_set", "project/data"): (
            "--data-set",
            "'project/data': a folder",
            "aws s3 cp --recursive --endpoint-url",
        ),
        ("data", "search.py"): ("'search.py': a file", f"aws s3 cp --endpoint-url http://127.0.0.1:5055 {project}"),
        ("data", str(project)): (str(project), "a folder", "'s3://bucket/data/project?endpoint_override=http"),
        ("data", f"file://{project}/data"): ("a folder",),
        ("data", ("s3://x/y", "project/data")): ("'project/data'",),
        ("weights", Path("/absent")): ("--weights", "a path on this disk", "declare the parameter as a string"),
    }.items():
        with pytest.raises(RunError) as refusal:
            check_options(dict([options]), project, S3, [])
        for word in words:
            assert word in str(refusal.value)


def test_options_that_name_no_local_file_are_taken(project: Path) -> None:
    options = {"data": "s3://bucket/data", "norm": "batch", "n": 3, "lr": 0.1, "on": True, "none": None, "empty": ""}
    check_options(options | {"many": ["a", "b"]}, project, S3, [])
    check_options({"data": str(project), "path": project / "data"}, project, S3, [project.parent])


def test_bytes_are_told_in_the_unit_that_suits() -> None:
    assert [in_words(n) for n in (5, 2048, 3 * 2**20, 5 * 2**30)] == ["5 bytes", "2.0 KiB", "3.0 MiB", "5.0 GiB"]
