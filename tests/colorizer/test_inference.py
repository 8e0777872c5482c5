import copy
import dataclasses

import numpy as np
import pytest
import safetensors.numpy
import torch
from PIL import Image, ImageDraw

from colorizer.checkpoint import CheckpointError
from colorizer.config import TrainingConfig, build_generator
from colorizer.dataset import Dataset, DatasetError, Drawings
from colorizer.images import to_square
from colorizer.inference import Colorizer, ConfidentColorizer, colorize_image, load_predictor, unlike
from colorizer.prepare import prepare
from colorizer.sampling import to_floats, to_pixels
from colorizer.training import Trainer
from ensembles.capabilities import Confident, Flippable, Retrainable, TorchPredictor
from ensembles.combining.confidence import ByConfidence
from ensembles.ensemble import predict_all
from ensembles.export import to_onnx
from ensembles.predictor import verify_checkpoint

SIZE = 16
CONFIG = TrainingConfig(channels=4, levels=2, discriminator_channels=4, size=SIZE, batch_size=3)


def some_lines(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def make_colorizer():
    return Colorizer(build_generator(CONFIG), SIZE)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    lines, colors = (rng.integers(0, 256, (5, c, SIZE, SIZE), dtype=np.uint8) for c in (1, 3))
    trainer = Trainer(CONFIG, Drawings(list("abcde"), np.arange(5), lines, colors))
    trainer.train(2)
    trainer.save(tmp_path / "checkpoint", {"psnr": 17.5})
    return tmp_path / "checkpoint"


def red_left_blue_right(inputs):
    """A predictor that keeps the lines black, colours the left half red and the right half blue."""
    colors = np.full((len(inputs), 3, *inputs.shape[2:]), -1, np.float32)
    half = inputs.shape[3] // 2
    colors[:, 0, :, :half] = inputs[:, 0, :, :half]
    colors[:, 2, :, half:] = inputs[:, 0, :, half:]
    return colors


class TestColorizer:
    @pytest.mark.parametrize("shape", [(2, 1, 5, 7), (1, 1, 16, 16), (131, 1, 3, 2), (0, 1, 5, 7)])
    def test_colours_have_the_size_of_the_lines(self, shape):
        colors = make_colorizer()(some_lines(*shape))
        assert colors.shape == (shape[0], 3, *shape[2:])
        assert colors.dtype == np.float32
        assert np.abs(colors).max(initial=0) <= 1

    def test_a_drawings_colours_do_not_depend_on_its_company(self):
        colorizer, lines = make_colorizer(), some_lines(67, 1, 5, 7)
        assert np.allclose(colorizer(lines)[66:], colorizer(lines[66:]), atol=1e-5)

    @pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 5, 7), (5, 7)])
    def test_what_is_no_batch_of_lines_is_refused(self, shape):
        with pytest.raises(ValueError, match=r"Expected lines of shape \(B, 1, H, W\), got"):
            make_colorizer()(some_lines(*shape))

    def test_scores_are_per_drawing_and_hold_what_ensembles_ask_for(self):
        colorizer, targets = make_colorizer(), some_lines(3, 3, 12, 14)
        scores = colorizer.scores(targets * 0.9, targets)
        assert {"mse", colorizer.gain_metric} <= scores.keys()
        assert all(values.shape == (3,) for values in scores.values())
        assert np.allclose(scores["mse"], (0.01 * targets.astype(float) ** 2).mean((1, 2, 3)), rtol=1e-4)
        assert np.allclose(scores["psnr"], 10 * np.log10(4 / scores["mse"]), rtol=1e-4)
        assert colorizer.summarize(scores)["psnr"] == pytest.approx(scores["psnr"].mean())

    def test_values_beyond_white_and_black_are_scored_as_they_are_shown(self):
        colorizer, targets = make_colorizer(), np.ones((1, 3, 12, 14), np.float32)
        assert colorizer.scores(targets * 1.5, targets)["mse"] == 0

    @pytest.mark.parametrize("channels", [1, 3])
    def test_a_picture_is_rgb_with_the_channels_last(self, channels):
        picture = make_colorizer().picture(some_lines(channels, 5, 7))
        assert (picture.shape, picture.dtype) == ((5, 7, 3), np.uint8)
        white = make_colorizer().picture(np.ones((channels, 5, 7), np.float32))
        assert (white == 255).all()


class TestLoadPredictor:
    def test_a_checkpoint_predicts_as_its_trainer_did(self, folder):
        colorizer = load_predictor(folder)
        assert colorizer.size == SIZE
        trainer = Trainer(
            CONFIG, Drawings(["a"] * 5, np.arange(5), *(np.zeros((5, c, 16, 16), np.uint8) for c in (1, 3)))
        )
        trainer.restore(folder)
        lines = some_lines(2, 1, 5, 7)
        assert np.allclose(colorizer(lines), Colorizer(trainer.shown, SIZE)(lines), atol=1e-6)

    def test_a_damaged_checkpoint_is_refused(self, folder):
        (folder / "training.safetensors").write_bytes(b"")
        with pytest.raises(CheckpointError, match=r"training\.safetensors"):
            load_predictor(folder)

    def test_a_checkpoint_without_a_dataset_predicts_and_says_so_when_asked_for_drawings(self, folder):
        colorizer = load_predictor(folder)
        assert colorizer(some_lines(1, 1, 5, 7)).shape == (1, 3, 5, 7)
        with pytest.raises(DatasetError, match="the checkpoint names none; say which with --data"):
            next(colorizer.batches("val"))

    def test_a_dataset_that_is_not_there_is_named(self, folder, tmp_path):
        with pytest.raises(DatasetError, match="nowhere"):
            next(load_predictor(folder, tmp_path / "nowhere").batches("val"))


class TestWhatAnEnsembleMayDo:
    def test_a_colorizer_is_all_that_ensembles_look_for(self, folder):
        for colorizer in (make_colorizer(), load_predictor(folder)):
            for capability in (Flippable, TorchPredictor, Retrainable):
                assert isinstance(colorizer, capability)

    def test_the_module_computes_what_a_call_does(self, folder):
        colorizer, lines = load_predictor(folder), some_lines(3, 1, 5, 7)
        colorizer.module.train()
        with torch.no_grad():
            assert np.array_equal(colorizer.module(torch.from_numpy(lines)).numpy(), colorizer(lines))

    def test_parameters_are_the_weights_of_the_generator(self, folder):
        weights = safetensors.numpy.load_file(folder / "generator.safetensors")
        trained = [w for name, w in weights.items() if "running" not in name and "num_batches" not in name]
        assert load_predictor(folder).parameters == sum(weight.size for weight in trained)

    def test_another_module_takes_the_place_of_the_first_which_stays_as_it_was(self, folder):
        colorizer, lines = load_predictor(folder), some_lines(2, 1, 5, 7)
        before = colorizer(lines)
        other = copy.deepcopy(colorizer.module)
        with torch.no_grad():
            for weight in other.parameters():
                weight.mul_(0.5)
        replaced = colorizer.with_module(other)
        assert np.array_equal(colorizer(lines), before)
        assert not np.allclose(replaced(lines), before, atol=1e-3)
        assert (replaced.size, replaced.output, replaced.gain_metric) == (SIZE, "colours", "psnr")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"channels": 6},
                r"in the module, \d+ of them differ:\n  down\.0\.0\.weight as float32 \(4, 1, 4, 4\) but found .*\(6,",
            ),
            ({"activation": "silu"}, "Expected a generator with the layers of this one, got UNet with others"),
            ({"norm": "instance"}, "Expected a generator with the layers of this one, got UNet with others"),
        ],
    )
    def test_a_module_of_another_architecture_is_refused(self, changes, message):
        other = build_generator(TrainingConfig.from_dict({**CONFIG.to_dict(), **changes}))
        with pytest.raises(CheckpointError, match=message):
            make_colorizer().with_module(other)
        with pytest.raises(CheckpointError, match="got Linear with others"):
            make_colorizer().with_module(torch.nn.Linear(1, 1))

    @pytest.mark.parametrize(
        ("ours", "theirs"), [({"passes": 2}, {"passes": 3}), ({"norm": "group"}, {"norm": "layer"})]
    )
    def test_a_module_with_the_same_tensors_that_does_something_else_is_refused(self, ours, theirs):
        made, other = (
            build_generator(TrainingConfig.from_dict({**CONFIG.to_dict(), "levels": 3, **changes}))
            for changes in (ours, theirs)
        )
        with pytest.raises(CheckpointError, match="Expected a generator with the layers of this one"):
            Colorizer(made, SIZE).with_module(other)

    def test_a_network_with_every_extra_can_be_exported_for_pictures_of_any_size(self, tmp_path):
        extras = {"attention": True, "passes": 2, "confidence": True, "activation": "maxout", "norm": "layer"}
        network = build_generator(TrainingConfig.from_dict({**CONFIG.to_dict(), **extras})).eval()
        torch.nn.init.normal_(network.deepest.adds.weight, generator=torch.Generator().manual_seed(0))
        assert to_onnx([network], [1.0], tmp_path / "x.onnx", some_lines(2, 1, 5, 7)).dynamic_axes == (0, 2, 3)

    def test_dropout_is_no_difference_between_two_that_only_predict(self):
        other = build_generator(TrainingConfig.from_dict({**CONFIG.to_dict(), "dropout": 0.5}))
        make_colorizer().with_module(other)

    def test_what_is_saved_is_a_checkpoint_that_can_predict_and_not_go_on(self, folder, tmp_path):
        colorizer, lines = load_predictor(folder), some_lines(2, 1, 5, 7)
        colorizer.save(tmp_path / "saved", made_by="a test")
        assert verify_checkpoint(tmp_path / "saved").predictor == "colorizer"
        again = load_predictor(tmp_path / "saved")
        assert np.array_equal(again(lines), colorizer(lines))
        first, second = colorizer.description, again.description
        assert (second.config, second.data, second.metrics) == (first.config, first.data, {"psnr": 17.5})
        assert second.notes == {"made_by": "a test"}
        trainer = Trainer(CONFIG, Drawings(["a"], np.arange(1), *(np.zeros((1, c, 16, 16), np.uint8) for c in (1, 3))))
        with pytest.raises(CheckpointError, match="holds a generator only: it can predict, not go on training"):
            trainer.restore(tmp_path / "saved")

    def test_scores_of_other_weights_are_not_those_of_a_replaced_module(self, folder, tmp_path):
        colorizer = load_predictor(folder)
        colorizer.with_module(build_generator(CONFIG)).save(tmp_path / "saved")
        assert load_predictor(tmp_path / "saved").description.metrics == {}

    def test_a_colorizer_that_came_from_no_checkpoint_cannot_be_saved(self, tmp_path):
        with pytest.raises(CheckpointError, match="got one without; use load_predictor"):
            make_colorizer().save(tmp_path / "saved")


class TestConfidence:
    """A checkpoint with confidence=True tells how far off it expects to be, and an ensemble weighs by that."""

    @pytest.fixture
    def confident(self, tmp_path):
        config = dataclasses.replace(CONFIG, confidence=True)
        rng = np.random.default_rng(0)
        lines, colors = (rng.integers(0, 256, (5, c, SIZE, SIZE), dtype=np.uint8) for c in (1, 3))
        trainer = Trainer(config, Drawings(list("abcde"), np.arange(5), lines, colors))
        trainer.train(6)
        trainer.save(tmp_path / "confident")
        return load_predictor(tmp_path / "confident")

    def test_one_that_tells_is_found_by_ensembles_and_others_are_not(self, folder, confident):
        assert isinstance(confident, ConfidentColorizer)
        assert isinstance(confident, Confident)
        assert not isinstance(load_predictor(folder), Confident)
        assert isinstance(confident.with_module(confident.module), Confident)

    @pytest.mark.parametrize("shape", [(2, 1, 5, 7), (67, 1, 3, 2), (0, 1, 5, 7)])
    def test_the_colours_are_those_of_a_call(self, confident, shape):
        lines = some_lines(*shape)
        colors, told = confident.with_log_variance(lines)
        assert np.array_equal(colors, confident(lines))
        assert told.shape == (shape[0], 1, *shape[2:])
        assert told.dtype == np.float32
        assert not len(told) or told.std() > 0

    def test_what_is_no_batch_of_lines_is_refused(self, confident):
        with pytest.raises(ValueError, match=r"Expected lines of shape \(B, 1, H, W\), got"):
            confident.with_log_variance(some_lines(2, 3, 5, 7))

    def test_members_are_weighed_by_it_pixel_by_pixel(self, confident):
        sure = copy.deepcopy(confident)
        with torch.no_grad():
            sure.module.doubt.bias.sub_(2.0)
            sure.module.head.bias.add_(0.5)
        rule = ByConfidence(np.zeros(2), np.full(2, 0.5), share=1.0, output="colours")
        lines = some_lines(2, 1, 5, 7)
        values, told = zip(*(member.with_log_variance(lines) for member in (confident, sure)), strict=True)
        weights = [np.exp(-each.astype(float)) for each in told]
        expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        assert np.allclose(rule(predict_all([confident, sure], lines, confidence=True)), expected, atol=1e-5)
        assert (weights[1] > 2 * weights[0]).all()


class TestBatches:
    @pytest.fixture
    def data(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HUETUNE_CACHE", str(tmp_path / "cache"))
        for number in range(10):
            for kind, fill in (("color", (20 * number, 120, 60)), ("line", "white")):
                (tmp_path / kind).mkdir(exist_ok=True)
                image = Image.new("RGB", (30, 20), "white")
                ImageDraw.Draw(image).rectangle((2 + number, 3, 12 + number, 15), fill=fill, outline="black")
                image.save(tmp_path / kind / f"{number}.png")
        prepare(tmp_path / "color", tmp_path / "data", tmp_path / "line")
        return tmp_path / "data"

    def test_a_split_comes_whole_in_the_same_order_every_time(self, folder, data):
        colorizer = load_predictor(folder, data)
        batches = list(colorizer.batches("train"))
        names = [name for batch in batches for name in batch.names]
        assert len(names) == len(set(names)) == Dataset.open(data).counts["train"]
        assert names == [name for batch in colorizer.batches("train") for name in batch.names]
        assert batches[0].inputs.shape == (len(batches[0].names), 1, SIZE, SIZE)
        assert batches[0].targets.shape == (len(batches[0].names), 3, SIZE, SIZE)
        assert batches[0].groups.shape == (len(batches[0].names),)
        for values in (batches[0].inputs, batches[0].targets):
            assert values.dtype == np.float32
            assert values.max() == 1
            assert -1 <= values.min() < 0

    def test_what_the_trainer_scores_is_what_the_predictor_scores(self, data):
        dataset = Dataset.open(data)
        trainer = Trainer(CONFIG, dataset.split("train", SIZE), data={"path": str(data), "digest": dataset.digest})
        trainer.train(3)
        trainer.save(data.parent / "trained")
        colorizer = load_predictor(data.parent / "trained")
        (batch,) = colorizer.batches("val")
        found = colorizer.summarize(colorizer.scores(colorizer(batch.inputs), batch.targets))
        assert found == pytest.approx(trainer.evaluate(dataset.split("val", SIZE)), rel=1e-4)

    def test_another_dataset_in_the_place_of_the_first_is_used_only_on_purpose(self, data):
        drawings = Dataset.open(data).split("train", SIZE)
        Trainer(CONFIG, drawings, data={"path": str(data), "digest": "0" * 64}).save(data.parent / "trained")
        with pytest.raises(DatasetError, match=r"digest 000000000000…\), found another"):
            next(load_predictor(data.parent / "trained").batches("val"))
        assert next(load_predictor(data.parent / "trained", data).batches("val")).names


class TestColorizeImage:
    @pytest.mark.parametrize("mode", ["L", "RGB", "1", "P", "RGBA"])
    def test_a_drawing_of_the_models_size_gets_the_plain_prediction(self, mode):
        colorizer = make_colorizer()
        image = Image.fromarray(to_pixels(some_lines(SIZE, SIZE))).convert(mode)
        lines = to_floats(np.asarray(image.convert("L")))
        expected = colorizer.picture(colorizer(lines[None, None])[0])
        assert (np.asarray(colorize_image(colorizer, image, SIZE)) == expected).all()

    @pytest.mark.parametrize("size", [(5, 7), (1, 1), (33, 7), (200, 90), (16, 9), (1, 500), (700, 2), (17, 17)])
    def test_any_size_comes_back_as_it_was(self, size):
        image = Image.new("L", size, "white")
        colored = colorize_image(make_colorizer(), image, SIZE)
        assert (colored.size, colored.mode) == (size, "RGB")

    def test_colours_stay_in_their_place_in_a_drawing_that_is_not_square(self):
        for size in [(120, 50), (50, 120)]:
            colored = np.asarray(colorize_image(red_left_blue_right, Image.new("L", size, "white"), SIZE))
            assert (colored[:, : size[0] // 2 - 8] == [255, 0, 0]).all()
            assert (colored[:, size[0] // 2 + 8 :] == [0, 0, 255]).all()

    def test_the_lines_of_a_large_drawing_stay_sharp(self):
        image = Image.new("L", (160, 160), "white")
        ImageDraw.Draw(image).line((40, 20, 40, 140), fill=0, width=1)
        colored = np.asarray(colorize_image(red_left_blue_right, image, SIZE))
        assert (colored[60:100, 40] == 0).all()
        assert colored[60:100, 38, 0].min() > 200
        assert colored[60:100, 42, 0].min() > 200

    def test_a_large_drawing_is_the_same_in_bands_and_in_one(self, monkeypatch):
        image = Image.fromarray(to_pixels(some_lines(157, 40))).resize((40, 157))
        whole = colorize_image(red_left_blue_right, image, SIZE)
        monkeypatch.setattr("colorizer.inference._BAND", 50)
        assert np.array_equal(colorize_image(red_left_blue_right, image, SIZE), whole)

    def test_colours_under_thick_lines_come_from_beside_them(self):
        """Else the thick lines of the small prediction would be shadows around the thin ones of the drawing."""
        image = Image.new("L", (160, 160), "white")
        ImageDraw.Draw(image).line((40, 0, 40, 160), fill=0, width=12)
        colored = np.asarray(colorize_image(red_left_blue_right, image, SIZE))
        assert (colored[60:100, 37:43] == 0).all()
        assert colored[60:100, 49:54, 0].min() > 200

    def test_transparent_paper_is_white(self):
        clear = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
        white = Image.new("RGB", (40, 20), "white")
        assert np.array_equal(
            colorize_image(red_left_blue_right, clear, SIZE), colorize_image(red_left_blue_right, white, SIZE)
        )

    def test_the_predictor_sees_the_drawing_as_training_drawings_are_seen(self):
        seen = []

        def watching(inputs):
            seen.append(inputs)
            return red_left_blue_right(inputs)

        image = Image.fromarray(to_pixels(some_lines(30, 70)))
        colorize_image(watching, image, SIZE)
        assert seen[0].shape == (1, 1, SIZE, SIZE)
        assert (to_pixels(seen[0][0, 0]) == np.asarray(to_square(image, SIZE))).all()

    def test_an_image_without_pixels_is_refused(self):
        with pytest.raises(ValueError, match="1 x 1 pixels or more, got 0 x 3"):
            colorize_image(red_left_blue_right, Image.new("L", (0, 3)), SIZE)


BLACK_ON_WHITE = {"line": {"mean": 0.6, "std": 0.7, "density": 0.2}}


class TestUnlike:
    """Who gives white lines on black to a model of black lines on white is told so, and nobody else."""

    def drawing(self, dark, mode="L"):
        image = Image.new("L", (50, 20), 255)
        image.paste(0, (0, 0, 50, round(20 * dark)))
        return image.convert(mode)

    @pytest.mark.parametrize("mode", ["L", "RGB", "1"])
    def test_an_inverted_drawing_is_told_to_be_one(self, mode):
        told = unlike(self.drawing(0.8, mode), BLACK_ON_WHITE)
        assert told == (
            "80% of it are dark: white lines on black? The model was trained on black lines on white, 20% dark."
            " Invert the drawing to have it coloured well."
        )

    def test_so_is_a_usual_one_for_a_model_of_inverted_ones(self):
        told = unlike(self.drawing(0.15), {"line": {"density": 0.85}})
        assert told.startswith(
            "15% of it are dark: black lines on white? The model was trained on white lines on black"
        )

    @pytest.mark.parametrize("dark", [0.0, 0.05, 0.2, 0.5, 0.6])
    def test_whatever_may_be_a_usual_drawing_is_none(self, dark):
        assert unlike(self.drawing(dark), BLACK_ON_WHITE) == ""

    def test_dense_drawings_do_not_tell_which_way_round_they_are(self):
        assert unlike(self.drawing(0.9), {"line": {"density": 0.5}}) == ""

    def test_transparent_paper_is_white(self):
        clear = Image.new("RGBA", (9, 9), (0, 0, 0, 0))
        assert unlike(clear, BLACK_ON_WHITE) == ""

    @pytest.mark.parametrize("statistics", [{}, {"density": [0.1, 0.2, 0.3]}, {"line": {}}])
    def test_where_nothing_is_known_nothing_is_said(self, statistics):
        assert unlike(self.drawing(0.9), statistics) == ""

    def test_the_drawings_of_a_prepared_dataset_are_like_themselves_and_their_negatives_are_not(self, dataset):
        prepared = Dataset.open(dataset)
        assert prepared.statistics
        for lines in prepared.split("val", 32).lines[:, 0]:
            assert unlike(Image.fromarray(lines), prepared.statistics) == ""
        negative = Image.fromarray(255 - prepared.split("val", 32).lines[0, 0])
        assert (np.asarray(negative) < 128).mean() > 0.6
        assert "white lines on black?" in unlike(negative, prepared.statistics)
