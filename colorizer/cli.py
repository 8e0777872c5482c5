"""Commands that the colorizer adds to `huetune`: draw, prepare, check, colorize; and how others find a model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.console import err, explained, interruptible, out, steps

if TYPE_CHECKING:
    from colorizer.inference import Colorizer
    from ensembles import Predictor

_LIMITS = "What is left out (0: no limit)"
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
    table: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Labels of the drawings: a row a drawing, named in the column `file`."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column of the table. Every split gets its share of each label."),
    ] = None,
    pen: Annotated[
        str, typer.Option(help="Style of lines drawn from the colours: dilation, xdog, threshold, or mixed.")
    ] = "dilation",
    max_aspect: Annotated[
        float,
        typer.Option(min=0, help="Longer over shorter side, 1 at least. Beyond it: sliver.", rich_help_panel=_LIMITS),
    ] = 4.0,
    min_ink: Annotated[
        float,
        typer.Option(min=0, max=1, help="Mean darkness of the line drawing. Below: blank.", rich_help_panel=_LIMITS),
    ] = 0.001,
    min_contrast: Annotated[
        int, typer.Option(min=0, max=255, help="Range of the colours' values. Below: blank.", rich_help_panel=_LIMITS)
    ] = 8,
    min_colour: Annotated[
        float,
        typer.Option(
            min=0,
            help="Colourfulness: 0 grey, 15 slightly colourful. Below: without colour; 1 leaves out what is grey.",
            rich_help_panel=_LIMITS,
        ),
    ] = 0.0,
    max_density: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of the line drawing that is dark. Beyond it: too intricate.",
            rich_help_panel=_LIMITS,
        ),
    ] = 0.5,
    min_subject: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of the picture that the subject takes. Below: too small.",
            rich_help_panel=_LIMITS,
        ),
    ] = 0.02,
    near: Annotated[
        int,
        typer.Option(
            min=0,
            max=16,
            help="Bits of 128 in which hashes of near duplicates may differ. They come into one split.",
            rich_help_panel=_LIMITS,
        ),
    ] = 8,
    drop_near: Annotated[
        bool,
        typer.Option("--drop-near", help="Leave near duplicates out, all but the first.", rich_help_panel=_LIMITS),
    ] = False,
) -> None:
    """Make a dataset of a folder of coloured drawings.

    It is one Parquet file with the drawings as PNG and a column that splits them 70/20/10 into train, val and test.
    Drawings that look alike stay in one split. Files that cannot be used are counted by reason; report.html beside the
    data shows them, samples of each split and what networks will be given. Look at it before anything is trained.

    With labels:  huetune prepare color --lines line --table drawings.csv --label group -o dataset
    """
    from colorizer.prepare import Limits, PrepareError
    from colorizer.prepare import prepare as make

    with (
        explained(PrepareError, ValueError),
        interruptible("nothing was written"),
        steps("reading drawings") as progress,
    ):
        limits = Limits(
            aspect=max_aspect,
            ink=min_ink,
            contrast=min_contrast,
            colourfulness=min_colour,
            density=max_density,
            subject=min_subject,
            likeness=near,
            drop_near=drop_near,
        )
        prepared = make(
            colors,
            output,
            lines=lines,
            seed=seed,
            limits=limits,
            table=table,
            label=label,
            pen=pen,
            progress=lambda done, total: progress.update(progress.task_ids[0], completed=done, total=total),
        )
    counts = ", ".join(f"{count} {split}" for split, count in prepared.counts.items())
    out.print(f"{sum(prepared.counts.values())} drawings in {output}: {counts}")
    for reason, tally in prepared.rejected.items():
        out.print(f"passed over, {reason}: {tally}")
    for kind, tally in prepared.unpaired.items():
        if tally.count:
            out.print(f"passed over, {kind} without a partner of its name: {tally}")
    for what, other in (("drawings", "row of the table"), ("rows", "drawing")):
        if prepared.unlabelled and prepared.unlabelled[what].count:
            out.print(f"{what} without a {other}: {prepared.unlabelled[what]}")
    if prepared.alike:
        out.print(f"{prepared.alike} drawings look like another one and share its split")
    out.print(f"look at it: {output}/report.html")
    out.print(f"next: huetune run searches/quick.py --data {shlex.quote(str(output))} --name quick")


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
        output.mkdir(parents=True, exist_ok=True)
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
