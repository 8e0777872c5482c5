"""Files of a run, fetched from where it lies."""

import socket
from pathlib import Path
from urllib.parse import quote

import pyarrow.fs
import pytest
from typer.testing import CliRunner

from search import Results, RunError
from search.cli import app
from search.errors import UnreachableError
from search.run_folder import RunFolder


def test_a_checkpoint_in_a_bucket_is_fetched_with_all_its_files(tmp_path: Path) -> None:
    checkpoint = tmp_path / "bucket" / "runs" / "x" / "checkpoints" / "00001-000005"
    (checkpoint / "more").mkdir(parents=True)
    (checkpoint / "checkpoint.json").write_text("{}")
    (checkpoint / "more" / "weights").write_bytes(b"123")
    elsewhere = pyarrow.fs.SubTreeFileSystem(str(tmp_path / "bucket"), pyarrow.fs.LocalFileSystem())
    run = RunFolder(elsewhere, "runs/x", "s3://bucket/runs/x")
    assert not run.is_local
    with run.local_copy(run.inside("checkpoints/00001-000005")) as folder:
        assert (folder / "checkpoint.json").read_text() == "{}"
        assert (folder / "more" / "weights").read_bytes() == b"123"
    assert not folder.exists()
    with run.local_copy(run.inside("checkpoints/00001-000005/checkpoint.json")) as file:
        assert file.read_text() == "{}"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s4://bucket/run", "Unrecognized filesystem type"),
        ("s3://bucket/run?nonsense=1", "Unexpected query parameter"),
        ("s3:///run", "Missing bucket name"),
        ("s3://", "Name the bucket"),
    ],
)
def test_what_is_no_address_is_named(address: str, said: str) -> None:
    with pytest.raises(RunError, match=said) as caught:
        Results(address)
    assert "Expected an address such as s3://bucket/runs, got " in str(caught.value)
    assert repr(address) in str(caught.value)


@pytest.mark.parametrize("command", ["report", "resume"])
def test_a_bucket_that_nobody_answers_for_is_named(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = quote(f"http://127.0.0.1:{free.getsockname()[1]}", safe="")
    address = f"s3://bucket/run?endpoint_override={nobody}&scheme=http&region=eu-west-1"
    told = CliRunner().invoke(app, [command, address])
    assert told.exit_code == 1
    assert f"Expected to read '{address}', got: " in told.stderr
    assert "Could not connect to server" in told.stderr
    assert "Check the address, the network and the rights to it." in told.stderr


def test_what_the_storage_says_reaches_the_reader(tmp_path: Path) -> None:
    (tmp_path / "search.json").mkdir()
    with pytest.raises(UnreachableError, match=r"Expected to read .*search\.json.*Check the address"):
        Results(tmp_path)
