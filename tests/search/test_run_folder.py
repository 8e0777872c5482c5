"""Files of a run, fetched from where it lies."""

from pathlib import Path

import pyarrow.fs

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
