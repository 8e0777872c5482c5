"""Commands that the colorizer adds to `huetune`: draw, prepare, check, colorize."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.console import err, explained, out, steps

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

    if output.exists():
        _refuse(f"Expected a new folder, but {output} exists. Choose another with -o, or remove it.")
    for part in ("color", "line"):
        (output / part).mkdir(parents=True)
    with steps("drawing") as progress:
        for done, drawing in enumerate(draw_characters(count, seed=seed, size=size), start=1):
            Image.fromarray(drawing.color).save(output / "color" / f"{drawing.name}.png")
            Image.fromarray(drawing.line).save(output / "line" / f"{drawing.name}.png")
            progress.update(progress.task_ids[0], completed=done, total=count)
    out.print(f"{count} drawings in {output}")
    out.print(f"next: huetune prepare {output}/color --lines {output}/line -o DATASET")


def prepare(
    colors: Annotated[Path, typer.Argument(metavar="COLOR_DIR", help="Coloured drawings, in any depth of folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DATASET", help="Folder to make.")],
    lines: Annotated[
        Path | None,
        typer.Option(
            metavar="LINE_DIR",
            help="Their line art, under the same names. [dim]default: drawn from the colours[/]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the shuffle that makes the splits.")] = 0,
) -> None:
    """Make a dataset of a folder of coloured drawings.

    It is one Parquet file with the drawings as PNG and a column that splits them 70/20/10 into train, val and test.
    Drawings with identical line art stay in one split.
    Files that cannot be used are counted and named in dataset.json.
    """
    from colorizer.prepare import PrepareError
    from colorizer.prepare import prepare as make

    with explained(PrepareError), steps("reading drawings") as progress:
        prepared = make(
            colors,
            output,
            lines=lines,
            seed=seed,
            progress=lambda done, total: progress.update(progress.task_ids[0], completed=done, total=total),
        )
    counts = ", ".join(f"{count} {split}" for split, count in prepared.counts.items())
    out.print(f"{sum(prepared.counts.values())} drawings in {output}: {counts}")
    for reason, tally in prepared.rejected.items():
        out.print(f"passed over, {reason}: {tally}")
    for kind, tally in prepared.unpaired.items():
        if tally.count:
            out.print(f"passed over, {kind} without a partner of its name: {tally}")
    out.print(f"next: huetune run searches/quick.py --data {output} --name quick")


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
    out.print(f"next: huetune run {definition}")


# The options of the definition are not this command's.
check.context_settings = {"allow_extra_args": True, "ignore_unknown_options": True}  # type: ignore[attr-defined]


def colorize(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A checkpoint, an ensemble, or a run that has one.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Line drawings of any size.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the coloured drawings.")],
) -> None:
    """Colour line drawings with a checkpoint or an ensemble."""
    import numpy as np

    from colorizer.images import UnreadableImage, read_rgb
    from colorizer.inference import Colorizer, colorize_image
    from ensembles import CheckpointError, Ensemble, load
    from ensembles.predictor import Borrowing

    with explained(CheckpointError, FileNotFoundError):
        predictor = load(_model_folder(model))
        first = predictor
        while isinstance(first, Borrowing):  # an ensemble, a member whose flips are averaged
            first = first.lender
        if not isinstance(first, Colorizer):
            raise CheckpointError(f"Expected a model that colours drawings in {model}, found {type(first).__name__}.")
    if isinstance(predictor, Ensemble) and len(images) >= _MANY:
        predictor = predictor.quickened(np.ones((1, 1, first.size, first.size), np.float32))
    passed_over = 0
    with explained(OSError), steps("colouring") as progress:
        output.mkdir(parents=True, exist_ok=True)
        for done, path in enumerate(images, start=1):
            try:
                colorize_image(predictor, read_rgb(path), first.size).save(output / f"{path.stem}.png")
            except UnreadableImage as fault:
                passed_over += 1
                err.print(f"passed over: {fault}")
            progress.update(progress.task_ids[0], completed=done, total=len(images))
    out.print(f"{len(images) - passed_over} of {len(images)} drawings coloured in {output}")
    if passed_over:
        raise typer.Exit(1)


def _model_folder(model: Path) -> Path:
    """A run stands for its ensemble."""
    if not model.is_dir():
        raise FileNotFoundError(f"Expected a checkpoint, an ensemble or a run at {model}, found no folder there.")
    if not (model / "search.json").is_file():
        return model
    if not (model / "ensemble").is_dir():
        raise FileNotFoundError(
            f"Expected an ensemble in the run {model}, found none. Build it: huetune ensemble {model},"
            f" or name one of {model}/checkpoints."
        )
    return model / "ensemble"


def _refuse(message: str) -> None:
    with explained(ValueError):
        raise ValueError(message)
