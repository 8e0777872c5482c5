"""Small pieces of the page on a dataset: safe for any text, pictures inside."""

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorizer.pairing import printable
from colorizer.preparing.first_pass import Example


def esc(text: object) -> str:
    """Text as HTML shows it literally, in an element or in an attribute."""
    return html.escape(printable(str(text)), quote=True)


def section(anchor: str, title: str, intro: str, parts: Iterable[str]) -> str:
    """A section of the page; `parts` are HTML."""
    about = f'<p class="intro">{esc(intro)}</p>' if intro else ""
    return f'<section id="{anchor}"><h2>{esc(title)}</h2>{about}{"".join(parts)}</section>'


def card(title: str, *parts: str) -> str:
    """A card with a heading; `parts` are HTML."""
    return f'<div class="card"><h3>{esc(title)}</h3>{"".join(parts)}</div>'


def table(label: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose first column names the rows."""
    top = "".join(f'<th scope="col">{esc(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{esc(name)}</th>{"".join(f"<td>{esc(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(label)}"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def gallery(examples: Iterable[Example]) -> str:
    """Line drawings beside their colours, with names."""
    return f'<ul class="gallery">{"".join(map(_picture, examples))}</ul>'


def histogram(title: str, counts: NDArray[np.int64], ticks: Sequence[str], note: str, css: str = "") -> str:
    """Bars under a title, with what the ends of the axis are and a note. Heights are roots of the counts.

    A root shows what is rare beside what is frequent, and nothing as nothing.
    """
    heights = np.sqrt(counts / max(1, counts.max())) * 100
    width = 300 / len(counts)
    bars = "".join(
        f"M{i * width:.1f} 100v{-height:.1f}h{width:.1f}v{height:.1f}z"
        for i, height in enumerate(heights.tolist())
        if height
    )
    marks = "".join(f"<span>{esc(tick)}</span>" for tick in ticks)
    return (
        f'<figure class="histogram {css}"><figcaption>{esc(title)}</figcaption>'
        f'<svg viewBox="0 0 300 100" preserveAspectRatio="none" role="img" aria-label="{esc(f"{title}: {note}")}">'
        f'<path d="{bars}"/></svg><div class="ticks">{marks}</div><p class="note">{esc(note)}</p></figure>'
    )


def _picture(example: Example) -> str:
    name, about, square = example
    if square is None:
        shown = '<div class="missing">no picture</div>'
    else:
        shown = f'<img alt="{esc(name)}: line drawing and colours" width="128" height="64" src="{_data_uri(square)}">'
    return f"<li>{shown}<span class=name>{esc(name)}</span>{f'<span>{esc(about)}</span>' if about else ''}</li>"


def _data_uri(square: NDArray[np.uint8]) -> str:
    """Line drawing and colours side by side."""
    line = np.repeat(square[0][:, :, None], 3, axis=2)  # (64, 64, 3)
    buffer = io.BytesIO()
    both = np.concatenate([line, square[1:].transpose(1, 2, 0)], axis=1)
    Image.fromarray(both).save(buffer, "WEBP", lossless=True, quality=50)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
