"""Colours from a checkpoint: a predictor for ensembles, and whole pictures of any size."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageChops
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from colorizer import baselines, checkpoint, metrics
from colorizer.checkpoint import CheckpointError, Description, load_generator
from colorizer.dataset import Dataset, DatasetError
from colorizer.generator import UNet, placed, predict, predict_with_log_variance
from colorizer.images import DARK, inner_size, to_square
from colorizer.retraining import default_architecture, retrain, retraining_config
from colorizer.sampling import to_floats, to_pixels

_AT_ONCE = 64  # drawings; bounds the memory whatever comes
_BAND = 256  # rows of a large drawing that are worked on at once
_MUCH = 0.3  # by so much of its area a drawing must be more usual once it is inverted, to be taken for inverted
_LINE_WIDTH = 1.5  # pixels of the small prediction over which colours are carried under the lines

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Batch:
    """Drawings: inputs (B, 1, S, S), targets (B, 3, S, S), float32 in [-1, 1]; groups (B,) int64."""

    names: list[str]
    inputs: Floats
    targets: Floats
    groups: NDArray[np.int64]


class Colorizer:
    """A generator and the dataset to judge it on.

    Args:
        generator: ready to predict, on `device`.
        size: side in pixels of the drawings it was trained on.
        data: folder or address of a dataset, or None where none will be asked for.
        digest: of the dataset that is expected in `data`, or None for any.
        description: of its checkpoint; without one it cannot be saved or trained again.
    """

    output: Literal["colours"] = "colours"
    gain_metric = "psnr"
    flip_axes: tuple[int, ...] = (-1,)
    """Drawings may be mirrored, left to right."""

    def __init__(
        self,
        generator: UNet,
        size: int,
        data: str | Path | None = None,
        digest: str | None = None,
        device: str | torch.device = "cpu",
        description: Description | None = None,
    ) -> None:
        self.size = size
        self.description = description
        self._generator = generator
        self._data = data
        self._digest = digest
        self._device = torch.device(device)

    def __call__(self, inputs: Floats) -> Floats:
        """Colours (B, 3, H, W) for lines (B, 1, H, W), float32 in [-1, 1]; any H and W."""
        colors = np.empty((len(inputs), 3, *inputs.shape[2:]), np.float32)
        for some, lines in self._lines(inputs):
            colors[some] = predict(self._generator, lines).cpu().numpy()
        return colors

    def _lines(self, inputs: Floats) -> Iterator[tuple[slice, Tensor]]:
        """Inputs (B, 1, H, W) as tensors on the device, a bounded number at a time, and where each part lies."""
        if inputs.ndim != 4 or inputs.shape[1] != 1:
            raise ValueError(f"Expected lines of shape (B, 1, H, W), got {inputs.shape}.")
        for start in range(0, len(inputs), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            yield some, torch.tensor(inputs[some], dtype=torch.float32, device=self._device)

    @property
    def module(self) -> UNet:
        """The generator, in eval mode: lines (B, 1, H, W) to colours (B, 3, H, W), in [-1, 1], on its device."""
        return self._generator.eval()

    @property
    def parameters(self) -> int:
        """How many weights the generator has; what a batch norm has counted is none."""
        return sum(weight.numel() for weight in self._generator.parameters())

    def with_module(self, module: nn.Module, /) -> "Colorizer":
        """The same data and measures around another generator of the same architecture, which is put on the device.

        Raises:
            CheckpointError: it has other layers or weights of other shapes; what differs is named.
        """
        if not isinstance(module, UNet) or _layers(module) != _layers(self._generator):
            raise CheckpointError(
                f"Expected a generator with the layers of this one, got {type(module).__name__} with others. "
                "Only the weights of one architecture can be put in place of each other."
            )
        checkpoint.check_tensors(self._generator.state_dict(), module.state_dict(), "the module")
        # What was scored were other weights.
        description = self.description and replace(self.description, metrics={})
        generator = placed(module, self._device).eval()
        return type(self)(generator, self.size, self._data, self._digest, self._device, description)

    def save(self, folder: Path, /, **notes: Any) -> None:
        """Write a checkpoint that holds the generator only, enough to predict: `load_predictor` reads it.

        It keeps the config, where the drawings of the training came from and, where these are the weights that were
        scored, their metrics.

        Args:
            notes: JSON values to be kept in it.

        Raises:
            CheckpointError: the colorizer came from no checkpoint.
            ValueError: a note that JSON cannot hold.
        """
        known = self._described()
        description = replace(known, notes={**known.notes, **notes})
        checkpoint.write(folder, description, {checkpoint.GENERATOR: self._generator.state_dict()})

    @property
    def default_settings(self) -> dict[str, Any]:
        """Settings by which `retrain` makes a model of the default size, such as the student of an ensemble.

        They hold the architecture; all else, also the size of the drawings and the length of the training, stays
        that of this model.
        """
        return default_architecture()

    def retrain(
        self,
        rows: NDArray[np.intp],
        folder: Path,
        /,
        *,
        seed: int,
        targets: Floats | None = None,
        settings: Mapping[str, Any] | None = None,
        threads: int | None = None,
    ) -> None:
        """Train a new model as this one was trained, in full, on some drawings of the training split; see `retrain`.

        Args:
            rows: (M,), the drawings to learn from, by their position in `batches("train")`.
            folder: where the checkpoint goes; only the last one is written.
            seed: of weights, data order and dropout, in place of this model's.
            targets: (M, 3, S, S) in [-1, 1], colours to learn instead of the true ones.
            settings: fields of `TrainingConfig` that are to be others than this model's.
            threads: see `retraining.retrain`.

        Raises:
            CheckpointError: the colorizer came from no checkpoint.
            DatasetError: there is no dataset.
            ValueError: rows, targets or settings that cannot be trained on.
            Diverged: a loss was not finite.
        """
        config = retraining_config(self._described().config, seed, settings)
        retrain(self.dataset, config, rows, folder, targets=targets, device=self._device, threads=threads)

    def _described(self) -> Description:
        if self.description is None:
            raise CheckpointError("Expected a colorizer from a checkpoint, got one without; use load_predictor.")
        return self.description

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset, opened when first asked for.

        Raises:
            DatasetError: there is none, or not the one expected.
        """
        if self._data is None:
            raise DatasetError("Expected a dataset, but the checkpoint names none; say which with --data DATASET.")
        try:
            dataset = Dataset.open(self._data)
        except DatasetError as error:
            raise DatasetError(f"{error} If it has moved, say where with --data DATASET.") from error
        if self._digest is not None and dataset.digest != self._digest:
            raise DatasetError(
                f"Expected the dataset of the training in {self._data} (digest {self._digest[:12]}…), "
                f"found another ({dataset.digest[:12]}…). To use it all the same: --data {self._data}."
            )
        return dataset

    def batches(self, split: str) -> Iterator[Batch]:
        """The drawings of "train", "val" or "test" in the dataset's order, a bounded number at a time."""
        drawings = self.dataset.split(split, self.size)
        for start in range(0, len(drawings), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            yield Batch(
                names=list(drawings.names[some]),
                inputs=to_floats(drawings.lines[some]),
                targets=to_floats(drawings.colors[some]),
                groups=np.asarray(drawings.groups[some]),
            )

    def baselines(self) -> dict[str, Callable[[Floats], Floats]]:
        """Trivial predictors of the drawings of `batches`: see `baselines.predictors`."""
        return baselines.predictors(self.dataset.split("train", self.size))

    def scores(self, predictions: Floats, targets: Floats) -> dict[str, NDArray[np.float64]]:
        """Per drawing, arrays of shape (B,): see `metrics.score_images`."""
        clipped = torch.from_numpy(np.clip(predictions, -1, 1).astype(np.float32))
        scores = metrics.score_images(clipped, torch.from_numpy(np.asarray(targets, np.float32)))
        return {name: values.double().numpy() for name, values in scores.items()}

    def summarize(self, scores: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Scores per drawing to those of a split: see `metrics.summarize`."""
        return metrics.summarize(scores)

    def picture(self, values: Floats) -> NDArray[np.uint8]:
        """Lines (1, H, W) or colours (3, H, W) in [-1, 1] as RGB (H, W, 3)."""
        pixels = np.moveaxis(to_pixels(values), 0, -1)
        return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


class ConfidentColorizer(Colorizer):
    """A colorizer that says how far off it expects to be; its generator was made with confidence=True."""

    def with_log_variance(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Colours (B, 3, H, W) and the logarithm (B, 1, H, W) of the squared error expected of a pixel's values.

        For lines (B, 1, H, W), all float32; the colours are those of a call. Ensembles weigh by it.
        """
        colors = np.empty((len(inputs), 3, *inputs.shape[2:]), np.float32)
        told = np.empty((len(inputs), 1, *inputs.shape[2:]), np.float32)
        for some, lines in self._lines(inputs):
            colors[some], told[some] = (
                part.cpu().numpy() for part in predict_with_log_variance(self._generator, lines)
            )
        return colors, told


def load_predictor(folder: Path, data: str | Path | None = None) -> Colorizer:
    """The colorizer of a checkpoint, on a GPU where there is one; a `ConfidentColorizer` where it tells confidence.

    Args:
        folder: the checkpoint.
        data: a dataset to use instead of the one it was trained on.

    Raises:
        CheckpointError: the checkpoint is damaged or not one of this program.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator, description = load_generator(folder, device)
    path, digest = description.data.get("path"), description.data.get("digest")
    if data is not None:
        path, digest = data, None
    kind = ConfidentColorizer if generator.confidence else Colorizer
    return kind(generator, description.config.size, path or None, digest, device, description)


def colorize_image(predictor: Callable[[Floats], Floats], image: Image.Image, size: int) -> Image.Image:
    """Colour a line drawing of any size.

    A drawing is scaled until its longer side is `size` and laid on a white square, as the training drawings
    were. If it was larger, the colours are brought back to its size and its own lines drawn over them, so
    that they stay as sharp as they were; if it was smaller, the prediction is scaled down.

    Args:
        predictor: lines (B, 1, size, size) to colours (B, 3, size, size), in [-1, 1].
        image: of 8 bits a channel, in any mode, such as `images.read_rgb` gives; transparent parts count as white.
        size: side in pixels of the predictor's training drawings.

    Returns:
        RGB, of the size of `image`.

    Raises:
        ValueError: the image has no pixels.
    """
    width, height = image.size
    if not width or not height:
        raise ValueError(f"Expected an image of 1 x 1 pixels or more, got {width} x {height}.")
    drawing = _on_white(image)
    lines = np.asarray(to_square(drawing, size))  # (size, size)
    colors = predictor(to_floats(lines)[None, None])[0].transpose(1, 2, 0)  # (size, size, 3)
    larger = max(width, height) > size
    if larger:
        colors = _without_lines(colors, lines)
    inner = inner_size(image.size, size)
    left, top = ((size - side) // 2 for side in inner)
    colored = Image.fromarray(to_pixels(colors)).crop((left, top, left + inner[0], top + inner[1]))
    if colored.size != image.size:
        colored = colored.resize(image.size, Image.Resampling.BICUBIC if larger else Image.Resampling.HAMMING)
    if larger:
        _draw_over(colored, drawing)
    return colored


def unlike(image: Image.Image, statistics: Mapping[str, Any]) -> str:
    """What to tell who gives a model lines that are white where those it learned from were black, or the other way.

    Args:
        image: as in `colorize_image`.
        statistics: of the model's training drawings, as its checkpoint holds them; {} where it holds none.

    Returns:
        A sentence, or "" where the drawing is much like those, or nothing is known of them.
    """
    usual = statistics.get("line", {}).get("density")
    if usual is None:
        return ""
    histogram = np.array(_on_white(image).histogram())
    dark = histogram[:DARK].sum() / histogram.sum()
    if abs(dark - usual) - abs(1 - dark - usual) < _MUCH:
        return ""
    given, learned = ("white lines on black", "black lines on white")[:: 1 if dark > usual else -1]
    return (
        f"{dark:.0%} of it are dark: {given}? The model was trained on {learned}, {usual:.0%} dark."
        " Invert the drawing to have it coloured well."
    )


def _layers(network: UNet) -> tuple[int, list[type[nn.Module]]]:
    # Dropout does nothing in eval mode, and has no weights.
    return network.passes, [type(layer) for layer in network.modules() if not isinstance(layer, nn.Dropout)]


def _on_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L")


def _draw_over(colored: Image.Image, drawing: Image.Image) -> None:
    """Multiply colours by lines, in bands: large pictures would take their size again twice over."""
    width, height = colored.size
    for top in range(0, height, _BAND):
        band = (0, top, width, min(top + _BAND, height))
        colored.paste(ImageChops.multiply(colored.crop(band), drawing.crop(band).convert("RGB")), band)


def _without_lines(colors: Floats, lines: NDArray[np.uint8]) -> Floats:
    """The colours with those under the lines replaced by what lies around them.

    The small prediction holds thick, blurred lines of its own: left in, they would show as shadows beside the
    sharp ones. `colors` (H, W, 3) in [-1, 1], `lines` (H, W) uint8.
    """
    paper = (lines.astype(np.float32) / 255)[..., None] ** 2
    spread = gaussian_filter(colors * paper, (_LINE_WIDTH, _LINE_WIDTH, 0))
    weight = gaussian_filter(paper, (_LINE_WIDTH, _LINE_WIDTH, 0))
    around = np.where(weight > 1e-3, spread / np.maximum(weight, 1e-3), colors)
    return np.asarray(paper * colors + (1 - paper) * around, np.float32)
