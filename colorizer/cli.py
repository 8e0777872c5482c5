"""Commands that the colorizer adds to `huetune`: draw, check, colorize; and how others find a model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.console import err, explained, interruptible, out, steps

if TYPE_CHECKING:
    from colorizer.inference import Colorizer
    from ensembles import Predictor

_MODELS = ("checkpoint.json", "ensemble.json")  # a folder that holds one of them is a model
_MANY = 100  # drawings: worth a second to find out how members run fastest


def draw(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make, with color/ and line/ inside.")],
    count: Annotated[int, typer.Option(min=1, help="How many drawings.")] = 400,
    size: Annotated[int, typer.Option(min=16, help="Height and width in pixels.")] = 96,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds give other drawings.")] = 0,
) -> None:
    """Paint drawings of a cartoon character, to try everything without data of one's own."""
    from PIL import Image

    from colorizer.drawings import draw_characters
    from ensembles.folders import whole_folder

    if output.exists():
        _refuse(f"Expected a new folder, but {output} exists. Choose another with -o, or remove it.")
    with (
        explained(OSError),
        interruptible("nothing was written"),
        steps("drawing") as progress,
        whole_folder(output) as folder,
    ):
        for part in ("color", "line"):
            (folder / part).mkdir()
        for done, drawing in enumerate(draw_characters(count, seed=seed, size=size), start=1):
            Image.fromarray(drawing.color).save(folder / "color" / f"{drawing.name}.png")
            Image.fromarray(drawing.line).save(folder / "line" / f"{drawing.name}.png")
            progress.update(progress.task_ids[0], completed=done, total=count)
    out.print(f"{count} drawings in {output}")
    colors, lines = (shlex.quote(f"{output}/{part}") for part in ("color", "line"))
    out.print(f"next: huetune prepare {colors} --lines {lines} -o DATASET")


def check(
    context: typer.Context,
    definition: Annotated[Path, typer.Argument(metavar="FILE", help="A Python file that defines a search.")],
) -> None:
    """Look for mistakes in the trainings of a search, before hours are spent on them.

    Takes the options that FILE defines, as `huetune run` does. The first configuration that the search would try is
    looked at on this machine, for about a minute: ranges of inputs and outputs, the order of the drawings, seeds, costs
    at chance, gradients against finite differences; and whether one batch can be learned by heart, and if not, whether
    it is for the learning rate.
    """
    from collections.abc import Mapping

    from colorizer.dataset import Dataset
    from colorizer.sanity import checks
    from colorizer.trial import ColorizerTrial, training_config
    from search import SearchError
    from search.definition_file import DefinitionFile
    from search.definition_options import parse_options

    with explained(SearchError, ValueError, FileNotFoundError):
        loaded = DefinitionFile.load(definition)
        search = loaded.build(**parse_options(loaded, context.args))
        config = search.fresh_method().suggest("check")
        if search.trainable is not ColorizerTrial or not isinstance(config, Mapping):
            raise SearchError(
                f"Expected a search over ColorizerTrial in {definition}, found {search.trainable!r}. What is checked"
                " are trainings of the colorizer."
            )
        training = training_config(config)
        train = Dataset.open(config["data"]).split("train", training.size)
        failed = 0
        with steps("looking") as progress:
            for one in checks(training, train, lambda name: progress.update(progress.task_ids[0], description=name)):
                failed += not one.passed
                out.print(f"{'ok    ' if one.passed else 'FAILED'}  {one.name}: {one.said}")
    if failed:
        raise typer.Exit(1)
    out.print(f"next: {shlex.join(['huetune', 'run', str(definition), *context.args])}")


# The options of the definition are not this command's.
check.context_settings = {"allow_extra_args": True, "ignore_unknown_options": True}  # type: ignore[attr-defined]


def colorize(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A checkpoint, an ensemble, or a run that has one.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Line drawings of any size.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the coloured drawings.")],
) -> None:
    """Colour line drawings with a checkpoint or an ensemble.

    Each is written as a PNG under its own name; where names are alike, in folders as the drawings lie in.
    """
    import numpy as np
    from rich.text import Text

    from colorizer.images import UnreadableImage, read_rgb
    from colorizer.inference import colorize_image, unlike
    from colorizer.outputs import output_files, save_whole
    from ensembles import CheckpointError, Ensemble, load

    with explained(CheckpointError, FileNotFoundError):
        predictor = load(model_folder(model))
        first = colorizer_of(predictor, model)
    if isinstance(predictor, Ensemble) and len(images) >= _MANY:
        predictor = predictor.quickened(np.ones((1, 1, first.size, first.size), np.float32))
    statistics = first.description.data.get("statistics", {}) if first.description else {}
    passed_over = 0
    with explained(OSError, ValueError), steps("colouring") as progress:
        files = output_files(images, output)
        for done, (path, file) in enumerate(zip(images, files, strict=True), start=1):
            try:
                drawing = read_rgb(path)
            except UnreadableImage as fault:
                passed_over += 1
                err.print(Text(f"passed over: {fault}"))
            else:
                if warning := unlike(drawing, statistics):
                    err.print(Text(f"{path}: {warning}", style="yellow"))
                save_whole(colorize_image(predictor, drawing, first.size), file)
            progress.update(progress.task_ids[0], completed=done, total=len(images))
    out.print(f"{len(images) - passed_over} of {len(images)} drawings coloured in {output}")
    if passed_over:
        raise typer.Exit(1)


def model_folder(model: Path) -> Path:
    """Where to load a model from; a run stands for its ensemble.

    Raises:
        FileNotFoundError: there is no model.
    """
    if not model.is_dir():
        raise FileNotFoundError(f"Expected a checkpoint, an ensemble or a run at {model}, found no folder there.")
    if not (model / "search.json").is_file():
        if not any((model / file).is_file() for file in _MODELS):
            raise FileNotFoundError(
                f"Expected a checkpoint, an ensemble or a run at {model}, found neither {' nor '.join(_MODELS)} there."
                " Name a run, or a checkpoint in it."
            )
        return model
    if not (model / "ensemble").is_dir():
        raise FileNotFoundError(
            f"Expected an ensemble in the run {model}, found none. Build it: huetune ensemble {model},"
            f" or name one of {model}/checkpoints."
        )
    return model / "ensemble"


def colorizer_of(predictor: Predictor, model: str | Path) -> Colorizer:
    """The colorizer that a predictor is, or whose data and measures it borrows.

    Raises:
        CheckpointError: it colours no drawings; `model` names it.
    """
    from colorizer.inference import Colorizer
    from ensembles import CheckpointError
    from ensembles.predictor import Borrowing

    first = predictor
    while isinstance(first, Borrowing):  # an ensemble, a member whose flips are averaged
        first = first.lender
    if not isinstance(first, Colorizer):
        raise CheckpointError(
            f"Expected a model that colours drawings in {model}, found {type(first).__name__}. Name another."
        )
    return first


def _refuse(message: str) -> None:
    with explained(ValueError):
        raise ValueError(message)
