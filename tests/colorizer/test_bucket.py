"""A dataset in a bucket is fetched once per machine, checked, and named by its address everywhere."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image, ImageDraw
from pyarrow import fs

from colorizer.dataset import Dataset, DatasetError
from colorizer.prepare import prepare


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An address in a bucket of a server that speaks S3, to be filled with `{}` by a folder's name."""
    with pytest.MonkeyPatch.context() as patch, socket.socket() as free:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
        server.start()
        endpoint = quote(f"http://127.0.0.1:{port}", safe="")
        yield f"s3://drawings/{{}}?endpoint_override={endpoint}&scheme=http&allow_bucket_creation=true"
        server.stop()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawings")
    for i in range(10):
        for kind, fill in (("color", (25 * i, 120, 60)), ("line", (255, 255, 255))):
            (root / kind).mkdir(exist_ok=True)
            image = Image.new("RGB", (30, 20), "white")
            ImageDraw.Draw(image).rectangle((2 + i, 3, 12 + i, 15), fill=fill, outline=(0, 0, 0))
            image.save(root / kind / f"{i}.png")
    prepare(root / "color", root / "out", root / "line")
    return root / "out"


def sent(folder: Path, address: str) -> str:
    files, root = fs.FileSystem.from_uri(address)
    files.create_dir(root)
    fs.copy_files(str(folder), root, destination_filesystem=files)
    return address


def test_it_is_what_the_folder_is(prepared: Path, bucket: str, cache: Path) -> None:
    there, here = Dataset.open(sent(prepared, bucket.format("same"))), Dataset.open(prepared)
    assert there.address == bucket.format("same")
    assert (there.digest, there.counts) == (here.digest, here.counts)
    assert not cache.exists()  # opening fetches no drawing
    for split in ("train", "val", "test"):
        mine, theirs = here.split(split, 16), there.split(split, 16)
        assert mine.names == theirs.names
        np.testing.assert_array_equal(mine.colors, theirs.colors)


def test_drawings_are_fetched_once(prepared: Path, bucket: str, cache: Path) -> None:
    address = sent(prepared, bucket.format("once"))
    Dataset.open(address).split("train", 16)
    files, root = fs.FileSystem.from_uri(address)
    files.delete_file(f"{root}/drawings.parquet")
    with pytest.raises(DatasetError, match=r"no drawings\.parquet"):
        Dataset.open(address)
    with files.open_output_stream(f"{root}/drawings.parquet") as out:
        out.write(b"another")
    assert len(Dataset.open(address).split("val", 16)) == 2  # from what was fetched
    assert not list(cache.rglob("*.part-*"))


def test_drawings_that_are_not_those_of_the_description_are_refused(prepared: Path, bucket: str, cache: Path) -> None:
    address = sent(prepared, bucket.format("changed"))
    files, root = fs.FileSystem.from_uri(address)
    with files.open_output_stream(f"{root}/drawings.parquet") as out:
        out.write(b"another")
    with pytest.raises(DatasetError, match=r"s3://drawings/changed.* has changed since it was written"):
        Dataset.open(address).split("train", 16)


def test_a_place_without_a_dataset_is_named(bucket: str, cache: Path) -> None:
    with pytest.raises(DatasetError, match=r"s3://drawings/absent.* is not a dataset .*huetune prepare"):
        Dataset.open(bucket.format("absent"))


def test_a_bucket_that_cannot_be_read_is_named(cache: Path) -> None:
    with socket.socket() as nobody:  # bound, and never listening
        nobody.bind(("127.0.0.1", 0))
        closed = quote(f"http://127.0.0.1:{nobody.getsockname()[1]}", safe="")
        with pytest.raises(DatasetError, match=r"Expected to read s3://drawings/x.*Correct the address"):
            Dataset.open(f"s3://drawings/x?endpoint_override={closed}&scheme=http")


def test_a_digest_cannot_name_a_folder_elsewhere(prepared: Path, tmp_path: Path, cache: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in prepared.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    description = json.loads((copy / "dataset.json").read_text())
    (copy / "dataset.json").write_text(json.dumps(description | {"digest": "../../../../../escaped" + 42 * "0"}))
    with pytest.raises(DatasetError, match="should hold a digest"):
        Dataset.open(copy)
