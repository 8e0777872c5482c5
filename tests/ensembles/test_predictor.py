import json

import numpy as np
import pytest

from ensembles import CheckpointDamaged, CheckpointError, UnknownPredictor, load_predictor


def edit(folder, **changes):
    path = folder / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_checkpoint_is_loaded_by_the_entry_point_it_names(tiny, tmp_path):
    predictor = load_predictor(tiny.write_checkpoint(tmp_path / "a", seed=3))
    inputs = np.zeros((2, 1, 5, 7), np.float32)
    assert predictor(inputs).shape == (2, 3, 5, 7)
    assert predictor.seed == 3


def test_the_dataset_given_replaces_the_checkpoints_own(tiny, tmp_path):
    (tmp_path / "data.json").write_text('{"val": 2}')
    predictor = load_predictor(tiny.write_checkpoint(tmp_path / "a", seed=3), tmp_path / "data.json")
    assert [batch.names for batch in predictor.batches("val")] == [["val-0", "val-1"]]


def test_a_flipped_byte_is_named_with_both_digests(tiny, tmp_path):
    folder = tiny.write_checkpoint(tmp_path / "a", seed=3)
    content = bytearray((folder / "settings.json").read_bytes())
    content[5] ^= 1
    (folder / "settings.json").write_bytes(content)
    with pytest.raises(CheckpointDamaged, match=r"settings\.json.*expected SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}"):
        load_predictor(folder)


def test_a_missing_file_and_a_missing_folder_are_named(tiny, tmp_path):
    folder = tiny.write_checkpoint(tmp_path / "a", seed=3)
    (folder / "settings.json").unlink()
    with pytest.raises(CheckpointDamaged, match=r"settings\.json cannot be read"):
        load_predictor(folder)
    with pytest.raises(CheckpointDamaged, match=r"nowhere/checkpoint\.json does not exist"):
        load_predictor(tmp_path / "nowhere")


def test_an_unknown_predictor_is_answered_with_the_known_ones(tiny, tmp_path):
    folder = tiny.write_checkpoint(tmp_path / "a", seed=3, predictor="os.system")
    with pytest.raises(UnknownPredictor, match=r"'os\.system'.*odd, tiny"):
        load_predictor(folder)


def test_a_loader_that_returns_something_else_is_refused(tiny, tmp_path):
    with pytest.raises(CheckpointError, match="'odd' returned a str"):
        load_predictor(tiny.write_checkpoint(tmp_path / "a", seed=3, predictor="odd"))


@pytest.mark.parametrize(
    "name", ["../b/settings.json", "/etc/hostname", "..", "sub/file", "a\\b", "", "checkpoint.json"]
)
def test_a_file_name_that_leads_out_of_the_folder_is_refused(tiny, tmp_path, name):
    folder = tiny.write_checkpoint(tmp_path / "a", seed=3)
    tiny.write_checkpoint(tmp_path / "b", seed=3)
    edit(folder, files={name: "0" * 64})
    with pytest.raises(CheckpointError, match="plain names"):
        load_predictor(folder)


def test_a_link_out_of_the_folder_is_refused(tiny, tmp_path):
    folder, other = (tiny.write_checkpoint(tmp_path / name, seed=3) for name in "ab")
    (folder / "settings.json").unlink()
    (folder / "settings.json").symlink_to(other / "settings.json")
    with pytest.raises(CheckpointError, match="inside the checkpoint"):
        load_predictor(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "pickle"}, 'expected "format": "huetune-checkpoint", got \'pickle\''),
        ({"version": 2}, "expected version 1, got 2"),
        ({"predictor": 7}, 'expected "predictor" to be a name'),
        ({"files": {}}, "at least one file"),
        ({"files": ["settings.json"]}, "at least one file"),
        ({"files": {"settings.json": "abc"}}, "64 hexadecimal digits"),
        ({"files": {"settings.json": None}}, "64 hexadecimal digits"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(tiny, tmp_path, changes, message):
    folder = tiny.write_checkpoint(tmp_path / "a", seed=3)
    edit(folder, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_predictor(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1]"])
def test_a_manifest_that_is_not_an_object_of_json_is_refused(tiny, tmp_path, content):
    folder = tiny.write_checkpoint(tmp_path / "a", seed=3)
    (folder / "checkpoint.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checkpoint\.json"):
        load_predictor(folder)
