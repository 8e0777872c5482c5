"""The command that adds line art to a dataset, coloured by a model: pseudo."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.console import explained, interruptible, out, steps

if TYPE_CHECKING:
    from colorizer.inference import Colorizer
    from colorizer.pseudo import Colouring, Floats
    from ensembles import Predictor


def pseudo(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A checkpoint, an ensemble, or a run that has one.")],
    lines: Annotated[Path, typer.Argument(metavar="LINE_DIR", help="Line drawings without colours.")],
    dataset: Annotated[str, typer.Option(metavar="DATASET", help="The dataset that they are added to a copy of.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW_DATASET", help="Folder to make.")],
    keep: Annotated[float, typer.Option(help="Share of them that is added: the ones the model is surest of.")] = 0.5,
) -> None:
    """Colour unlabelled line art and add what the model is sure of to the training drawings.

    How sure it is: by how much the members of an ensemble disagree; what a model with confidence=True says of itself;
    of any other model, how far it colours a mirrored drawing otherwise.
    Line art that is in the dataset already, or looks like a drawing in val or test, is left out. What is added has the
    origin "pseudo".
    """
    import os

    from colorizer.cli import colorizer_of, model_folder
    from colorizer.dataset import Dataset, DatasetError
    from colorizer.images import UnreadableImage
    from colorizer.pseudo import PseudoError, add_pseudo
    from ensembles import CheckpointError, load
    from ensembles.folders import whole_folder

    with (
        explained(CheckpointError, DatasetError, PseudoError, UnreadableImage, OSError),
        interruptible("nothing was written"),
        steps("colouring") as progress,
    ):
        if os.path.lexists(output):
            raise PseudoError(f"{output} exists and is not overwritten; give another name or remove it.")
        predictor = load(model_folder(model))
        first = colorizer_of(predictor, model)
        measure, colouring = _colouring(predictor, first)
        with whole_folder(output) as folder:
            added = add_pseudo(
                Dataset.open(dataset),
                lines,
                folder,
                colouring,
                first.size,
                keep=keep,
                notes={"model": model.resolve().name, "measure": measure},
                progress=lambda done, total: progress.update(progress.task_ids[0], completed=done, total=total),
            )
    for reason, tally in added.left_out.items():
        out.print(f"left out, {reason}: {tally}")
    kept, rest = added.doubts[: added.kept], added.doubts[added.kept :]
    out.print(f"{added.coloured} coloured; doubt is {measure}, as a root mean square of colours in [-1, 1]")
    out.print(f"{added.kept} added, doubt {kept[0]:.3g} to {kept[-1]:.3g}")
    if len(rest):
        out.print(f"{len(rest)} not added, doubt {rest[0]:.3g} to {rest[-1]:.3g}")
    counts = ", ".join(f"{count} {split}" for split, count in added.counts.items())
    out.print(f"{sum(added.counts.values())} drawings in {output}: {counts}")
    out.print(f"next: huetune run searches/quick.py --data {shlex.quote(str(output))} --name pseudo")


def _colouring(predictor: Predictor, first: Colorizer) -> tuple[str, Colouring]:
    """What doubt is, in words, and how the model colours and doubts."""
    import numpy as np

    from colorizer.pseudo import disagreement, mirrored
    from ensembles import Ensemble
    from ensembles.capabilities import Confident
    from ensembles.ensemble import predict_all

    if isinstance(predictor, Ensemble) and len(predictor.members) > 1:
        members, rule = [member.predictor for member in predictor.members], predictor.rule

        def together(lines: Floats) -> tuple[Floats, Floats]:
            predicted = predict_all(members, lines, rule.asks_confidence)
            return rule(predicted), disagreement(predicted.values)

        return f"the disagreement of {len(members)} members", together
    if isinstance(first, Confident):
        confident = first
        return "the error that the model expects", lambda lines: (
            predictor(lines),
            np.exp(confident.with_log_variance(lines)[1]),
        )
    return "the difference that mirroring makes", lambda lines: (predictor(lines), mirrored(first, lines))
