"""A model looked at closely: all that there is to know of it, put together. `page.py` shows it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from colorizer import baselines
from colorizer.config import TrainingConfig
from colorizer.diagnosis import verdict
from colorizer.inference import Colorizer
from colorizer.inspecting.error_analysis import Account, Finding, account, chosen, findings
from colorizer.inspecting.feature_pictures import Maps, feature_maps, first_filters
from colorizer.sampling import to_floats

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

KINDS = ("line", "predicted", "true", "where it errs")
"""The pictures of a drawing."""
_COMPARED = 256  # training drawings that tell whether a model knows them better than others
# Of an error from 0 to 1, half of the range of colours: black, violet, red, yellow, white.
_HEAT = np.array([[0, 0, 0], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 224]], np.float64)


@dataclass(frozen=True, eq=False)
class Shown:
    """A drawing on the page: where it stands in the split, and its pictures (H, W, 3), as many as `KINDS`."""

    position: int
    pictures: Sequence[Pixels]


@dataclass(frozen=True, eq=False)
class Inspection:
    """All that the page tells of a model.

    Attributes:
        name: what it is called.
        split: which drawings it was looked at on.
        scores: of the split, name to number.
        baselines: what trivial predictors score there, by name.
        verdicts: what is wrong with it, in words; none where nothing is.
        seen: its scores on every drawing.
        findings: what errors have to do with what drawings are like.
        drawings: "worst", "best" and "typical", each with the drawings that are shown.
        filters: of the first layer, (H, W, 3); None where the model is more than one network.
        maps: what its levels make of one drawing, of this name.
        facts: what else is known, in words.
    """

    name: str
    split: str
    scores: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    verdicts: Sequence[str]
    seen: Account
    findings: Sequence[Finding]
    drawings: Mapping[str, Sequence[Shown]]
    filters: Pixels | None = None
    maps: Sequence[Maps] = ()
    mapped: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def split_name(self) -> str:
        """The split, in words."""
        return "validation split" if self.split == "val" else "training split"


def look(
    predict: Callable[[Floats], Floats],
    colorizer: Colorizer,
    name: str,
    split: str,
    say: Callable[[str], None] = lambda text: None,
) -> Inspection:
    """Look at every drawing of a split.

    Args:
        predict: the model, lines (B, 1, S, S) to colours (B, 3, S, S): `colorizer` itself, or what it is a part of.
        colorizer: has the drawings and the measures.
        name: what the model is called.
        split: "val" or "train".
        say: is told what is being done.

    Raises:
        DatasetError: there is no dataset, or it cannot be read.
        ValueError: a split is empty.
    """
    drawings = colorizer.dataset.split(split, colorizer.size)
    say(f"colouring {len(drawings)} drawings")
    seen = account(predict, colorizer.batches(split), colorizer.scores, drawings)
    scores = colorizer.summarize(seen.scores)
    say("scoring baselines")
    trivial = baselines.of_split(colorizer.dataset, split, colorizer.size)
    measures = {f"{baselines.PREFIX}/{each}/psnr": told["psnr"] for each, told in trivial.items()} | scores
    if split == "val":
        measures |= {"val_mse": scores["mse"], "train_mse": _train_error(predict, colorizer)}
    said = verdict(measures)
    say("drawing")
    positions = chosen(seen.scores["mse"])
    shown = {kind: _shown(predict, colorizer, split, rows) for kind, rows in positions.items()}
    alone = predict is colorizer
    middle = int(np.argsort(seen.scores["mse"], kind="stable")[len(drawings) // 2])
    return Inspection(
        name=name,
        split=split,
        scores=scores,
        baselines=trivial,
        verdicts=said.split("; ") if said else [],
        seen=seen,
        findings=findings(seen),
        drawings=shown,
        filters=first_filters(colorizer.module) if alone else None,
        maps=feature_maps(colorizer, _inputs(colorizer, split, [middle])[0]) if alone else (),
        mapped=drawings.names[middle] if alone else "",
        facts=_facts(colorizer, alone),
    )


def error_picture(predicted: Floats, true: Floats) -> Pixels:
    """How far each pixel is off, (H, W, 3), for colours (3, H, W) in [-1, 1].

    The root mean square over the channels, from black for none to near white for half the range of colours or more:
    the same scale on every drawing.
    """
    off = np.sqrt(np.square(predicted.astype(np.float64) - true).mean(axis=0)).clip(0, 1) * (len(_HEAT) - 1)
    stops = np.arange(len(_HEAT))
    channels = [np.interp(off, stops, _HEAT[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _train_error(predict: Callable[[Floats], Floats], colorizer: Colorizer) -> float:
    """The mean squared error of some training drawings, evenly spread over the split."""
    many = len(colorizer.dataset.split("train", colorizer.size))
    rows = np.unique(np.linspace(0, many - 1, min(many, _COMPARED)).round().astype(int))
    inputs, targets = _inputs(colorizer, "train", rows)
    return float(colorizer.scores(predict(inputs), targets)["mse"].mean())


def _inputs(colorizer: Colorizer, split: str, rows: Sequence[int] | NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Inputs and targets of drawings at some positions of a split, in the order given."""
    drawings = colorizer.dataset.split(split, colorizer.size)
    return to_floats(drawings.lines[rows]), to_floats(drawings.colors[rows])


def _shown(
    predict: Callable[[Floats], Floats], colorizer: Colorizer, split: str, rows: NDArray[np.intp]
) -> list[Shown]:
    if not len(rows):
        return []
    inputs, targets = _inputs(colorizer, split, rows)
    predictions = predict(inputs)
    return [
        Shown(
            int(row),
            [*(colorizer.picture(part) for part in (inputs[at], predicted, true)), error_picture(predicted, true)],
        )
        for at, (row, predicted, true) in enumerate(zip(rows, predictions, targets, strict=True))
    ]


def _facts(colorizer: Colorizer, alone: bool) -> dict[str, str]:
    dataset = colorizer.dataset
    facts = {"dataset": f"{dataset.address} (digest {dataset.digest[:12]}…)"}
    if dataset.statistics:
        facts["statistics of the training split"] = _in_words(dataset.statistics)
    known = colorizer.description
    if not alone or known is None:
        return facts
    usual = TrainingConfig()
    changed = {
        one.name: value
        for one in fields(usual)
        if (value := getattr(known.config, one.name)) != getattr(usual, one.name)
    }
    facts["weights"] = f"{colorizer.parameters:,} of the generator"
    facts["trained for"] = f"{known.steps:,} steps, {known.iteration} reports"
    facts["hyperparameters other than the defaults"] = ", ".join(
        f"{name} {_plain(value)}" for name, value in changed.items()
    )
    facts["written by"] = ", ".join(f"{package} {version}" for package, version in known.versions.items())
    return facts


def _in_words(values: Mapping[str, object]) -> str:
    """Nested numbers, short."""
    parts = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            parts.append(f"{name} ({_in_words(value)})")
        elif isinstance(value, list):
            parts.append(f"{name} {' / '.join(map(_plain, value))}")
        else:
            parts.append(f"{name} {_plain(value)}")
    return ", ".join(parts)


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
