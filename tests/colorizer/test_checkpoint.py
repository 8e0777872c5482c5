import dataclasses
import json

import pytest
import safetensors.torch
import torch

from colorizer import checkpoint
from colorizer.checkpoint import CheckpointError, Description, load_generator, read
from colorizer.config import TrainingConfig, build_discriminator, build_generator
from colorizer.generator import predict

CONFIG = TrainingConfig(channels=4, levels=2, discriminator_channels=4, size=16, lr_g=3e-4, norm="instance")
FILES = [checkpoint.GENERATOR, checkpoint.DISCRIMINATOR, checkpoint.TRAINING]


def save(folder, **changes):
    generator, discriminator = build_generator(CONFIG), build_discriminator(CONFIG)
    tensors = {
        checkpoint.GENERATOR: generator.state_dict(),
        checkpoint.DISCRIMINATOR: discriminator.state_dict(),
        checkpoint.TRAINING: {"step": torch.tensor(7.0)},
    }
    description = Description(
        CONFIG, steps=70, iteration=7, data={"path": "some", "digest": "ab"}, metrics={"psnr": 18.5}
    )
    checkpoint.write(folder, description, tensors | changes)
    return generator


def save_generator_only(folder, **notes):
    generator = build_generator(CONFIG)
    checkpoint.write(folder, Description(CONFIG, notes=notes), {checkpoint.GENERATOR: generator.state_dict()})
    return generator


def rewrite_description(folder, **changes):
    """Change checkpoint.json as a program would, with a digest that fits."""
    path = folder / checkpoint.DESCRIPTION
    values = json.loads(path.read_text()) | changes
    values.pop("sha256")
    path.write_text(json.dumps(values | {"sha256": checkpoint._digest(values)}))


def test_a_checkpoint_rebuilds_its_own_generator(tmp_path):
    generator = save(tmp_path / "new" / "folder")
    loaded, description = load_generator(tmp_path / "new" / "folder")
    lines = torch.rand(2, 1, 5, 7)
    assert torch.allclose(predict(loaded, lines), predict(generator, lines), atol=1e-5)
    assert not loaded.training
    assert description.config == CONFIG
    assert (description.steps, description.iteration) == (70, 7)
    assert description.data == {"path": "some", "digest": "ab"}
    assert description.metrics == {"psnr": 18.5}
    assert description.versions["torch"] == str(torch.__version__)


def test_the_description_says_what_other_programs_look_for(tmp_path):
    save(tmp_path)
    values = json.loads((tmp_path / "checkpoint.json").read_text())
    assert (values["format"], values["version"], values["predictor"]) == ("huetune-checkpoint", 1, "colorizer")
    assert sorted(values["files"]) == sorted(FILES)


def test_nothing_but_its_files_lies_in_a_checkpoint(tmp_path):
    save(tmp_path)
    save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, checkpoint.DESCRIPTION])


def test_a_checkpoint_whose_writing_was_interrupted_is_none(tmp_path):
    save(tmp_path)
    with pytest.raises(AttributeError):
        save(tmp_path, **{checkpoint.TRAINING: {"step": "no tensor"}})
    with pytest.raises(CheckpointError, match=r"found no checkpoint\.json"):
        read(tmp_path)
    save(tmp_path)
    read(tmp_path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0, 0.5, 1])
def test_a_flipped_byte_is_found_and_its_file_named(tmp_path, name, where):
    save(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[int(where * (len(content) - 1))] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name} with SHA-256 \w+…, found \w+…"):
        load_generator(tmp_path)


def test_a_flipped_byte_of_the_description_is_found_wherever_it_is(tmp_path):
    save(tmp_path)
    path = tmp_path / checkpoint.DESCRIPTION
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        if chr(whole[place]).isspace():
            continue  # a blank may become another: the values are the same
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"checkpoint\.json"):
            read(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_cut_file_is_named(tmp_path, name):
    save(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-5])
    with pytest.raises(CheckpointError, match=name):
        load_generator(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name}, found: No such file"):
        load_generator(tmp_path)


def test_a_checkpoint_may_hold_the_generator_alone_and_replaces_a_whole_one(tmp_path):
    save(tmp_path)
    generator = save_generator_only(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [checkpoint.DESCRIPTION, checkpoint.GENERATOR]
    loaded, description = load_generator(tmp_path)
    assert list(description.files) == [checkpoint.GENERATOR]
    lines = torch.rand(2, 1, 5, 7)
    assert torch.allclose(predict(loaded, lines), predict(generator, lines), atol=1e-5)


def test_a_checkpoint_without_its_generator_or_with_a_file_unknown_is_refused(tmp_path):
    save(tmp_path)
    files = json.loads((tmp_path / "checkpoint.json").read_text())["files"]
    rewrite_description(
        tmp_path, files={name: digest for name, digest in files.items() if name != "generator.safetensors"}
    )
    with pytest.raises(CheckpointError, match=r"SHA-256 of generator\.safetensors in .*found none"):
        read(tmp_path)
    rewrite_description(tmp_path, files=files | {"../other": "ab"})
    with pytest.raises(CheckpointError, match=r"some of generator\.safetensors, .*found '\.\./other'"):
        read(tmp_path)


def test_notes_come_back_and_those_that_json_cannot_hold_leave_the_folder_as_it_was(tmp_path):
    save_generator_only(tmp_path, soup=["a", "b"], gain=0.25)
    assert read(tmp_path).notes == {"soup": ["a", "b"], "gain": 0.25}
    for wrong in (object(), float("nan")):
        with pytest.raises(ValueError, match=r"Expected notes that JSON can hold, got \{'wrong'"):
            save_generator_only(tmp_path, wrong=wrong)
    assert read(tmp_path).notes == {"soup": ["a", "b"], "gain": 0.25}


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"found no checkpoint\.json"):
        read(tmp_path / "nowhere")
    (tmp_path / "checkpoint.json").write_text("[1, 2]")
    with pytest.raises(CheckpointError, match=r"huetune-checkpoint.*found 'list'"):
        read(tmp_path)
    (tmp_path / "checkpoint.json").write_text('{"format":')
    with pytest.raises(CheckpointError, match="readable JSON"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "Expected version 1 in .*, found 2"),
        ({"format": "other"}, "found 'other'"),
        ({"files": {}}, r"SHA-256 of generator\.safetensors in .*found none"),
        ({"config": {"chanels": 4}}, "Did you mean 'channels'"),
        ({"config": {"channels": -4}}, "Expected channels >= 1"),
        ({"steps": None}, "complete description"),
    ],
)
def test_a_description_of_another_kind_is_refused(tmp_path, changes, message):
    save(tmp_path)
    rewrite_description(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path)


HEAD, TURNED = "head.weight as float32 (3, 4, 3, 3)", "float32 (3, 3, 4, 3), which looks transposed"


def turned(tensor):
    """As a file of a program that keeps the channels last would have it."""
    return tensor.movedim(1, 2).contiguous()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda w: {"head.bias": torch.zeros(4)}, "{} head.bias as float32 (3,) but found float32 (4,)."),
        (lambda w: {"head.bias": torch.zeros(3).half()}, "{} head.bias as float32 (3,) but found float16 (3,)."),
        (lambda w: {"head.bias": None}, "{} head.bias as float32 (3,) but found no such tensor."),
        (lambda w: {"tail.bias": torch.zeros(5)}, "{} no tensor tail.bias but found float32 (5,)."),
        (lambda w: {"head.weight": turned(w["head.weight"])}, "{} " + f"{HEAD} but found {TURNED}."),
    ],
)
def test_a_tensor_that_is_not_that_of_the_config_is_named(tmp_path, damage, message):
    weights = build_generator(CONFIG).state_dict()
    weights |= damage(weights)
    save(tmp_path, **{checkpoint.GENERATOR: {name: t for name, t in weights.items() if t is not None}})
    with pytest.raises(CheckpointError) as refused:
        load_generator(tmp_path)
    said, version = str(refused.value).split("\n")
    assert said == message.format(f"Expected in {tmp_path / checkpoint.GENERATOR}")
    assert version.startswith("It was written by huetune ")


def test_tensors_that_differ_are_all_named_with_what_was_expected_and_found(tmp_path):
    weights = build_generator(CONFIG).state_dict()
    changed = weights | {"head.weight": turned(weights["head.weight"]), "tail.bias": torch.zeros(5)}
    save(tmp_path, **{checkpoint.GENERATOR: {name: t for name, t in changed.items() if name != "head.bias"}})
    with pytest.raises(CheckpointError) as refused:
        load_generator(tmp_path)
    first, *listed, _ = str(refused.value).split("\n")
    assert first == f"Expected other tensors in {tmp_path / checkpoint.GENERATOR}, 3 of them differ:"
    assert listed == [
        f"  {HEAD} but found {TURNED}",
        "  head.bias as float32 (3,) but found no such tensor",
        "  no tensor tail.bias but found float32 (5,)",
    ]


def test_of_another_architecture_the_first_twelve_differences_are_named(tmp_path):
    wider = dataclasses.replace(CONFIG, channels=6, levels=3)
    there, here = build_generator(wider).state_dict(), build_generator(CONFIG).state_dict()
    save(tmp_path, **{checkpoint.GENERATOR: there})
    differing = [n for n in here if n not in there or here[n].shape != there[n].shape] + [*(there.keys() - here.keys())]
    assert len(differing) > 12
    with pytest.raises(CheckpointError, match=f", {len(differing)} of them differ:") as refused:
        load_generator(tmp_path)
    _, *listed, more, _ = str(refused.value).split("\n")
    assert len(listed) == 12
    assert more == f"  and {len(differing) - 12} more"


def test_a_checkpoint_of_another_version_is_told_to_be_one(tmp_path):
    save(tmp_path)
    rewrite_description(tmp_path, config=CONFIG.to_dict() | {"of_the_future": 1}, versions={"huetune": "9.9"})
    with pytest.raises(CheckpointError, match=r"'of_the_future'.* It was written by huetune 9\.9, this is \d"):
        read(tmp_path)
    rewrite_description(tmp_path, versions=None, config=3)
    with pytest.raises(CheckpointError, match=r"It was written by huetune unknown"):
        read(tmp_path)


def test_weights_that_do_not_fit_leave_a_network_as_it_was(tmp_path):
    network, other = build_generator(CONFIG), build_generator(CONFIG, torch.Generator().manual_seed(9))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    weights = dict(other.state_dict())
    weights.popitem()
    with pytest.raises(CheckpointError):
        checkpoint.load_weights(network, weights, "here")
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_files_that_are_no_tensors_are_refused_even_with_the_right_digest(tmp_path):
    save(tmp_path)
    (tmp_path / checkpoint.GENERATOR).write_bytes(b"\x80\x04K\x07.")  # a pickle
    with pytest.raises(CheckpointError, match="Expected tensors in"):
        checkpoint.read_tensors(tmp_path, checkpoint.GENERATOR)


def test_other_programs_can_read_the_weights(tmp_path):
    generator = save(tmp_path)
    weights = safetensors.torch.load_file(tmp_path / checkpoint.GENERATOR)
    assert torch.equal(weights["head.weight"], generator.head.weight)
