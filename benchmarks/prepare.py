"""Drawings per second of `prepare`, and whether its memory stays flat: 2,000 drawings, 20,000, and 100,000.

The files are generated: embedded drawings of 96 x 96 pixels, each written several times with the line art shifted and
the palette turned, so that no two are the same. Each dataset is made by a process of its own, on two cores; its peak
memory is what the kernel noted (VmHWM), imports included.

    python benchmarks/prepare.py [--quick] [--json FILE]
"""

import multiprocessing
import os
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from harness import Row, arguments, finish
from PIL import Image

from colorizer.drawings import draw_character
from colorizer.prepare import prepare

CORES = 2
SIZE = 96
VARIANTS = 20  # of each painted drawing: painting takes fifty times as long as writing


def main() -> None:
    options = arguments(__doc__)
    counts = (400, 2_000, 4_000) if options.quick else (2_000, 20_000, 100_000)
    rows = [measure(count) for count in counts]
    peaks = [row["peak_mib"] for row in rows]
    summary = {
        "drawings_per_second": rows[1]["drawings_per_second"],
        "peak_mib": peaks[1],
        "drawings": counts[1],
        "growth": peaks[1] / peaks[0],
        "kib_a_drawing": (peaks[2] - peaks[0]) * 1024 / (counts[2] - counts[0]),
        "cores": CORES,
        "size": SIZE,
    }
    finish(options, rows, summary)


def measure(count: int) -> Row:
    """Generates the files, makes a dataset of them in a fresh process, and removes both."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for kind in ("color", "line"):
            (root / kind).mkdir()
        with ProcessPoolExecutor(CORES, context) as pool:
            list(pool.map(partial(generate, root), range(count // VARIANTS), chunksize=10))
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=work, args=(root, sender))
        child.start()
        sender.close()
        row: Row = receiver.recv()
        child.join()
    return row


def generate(root: Path, seed: int) -> None:
    """One painted drawing as several: moved over the paper, in other palettes."""
    drawing = draw_character(seed, SIZE)
    for variant in range(VARIANTS):
        by = (variant % 5 * 3 - 6, variant // 5 * 4 - 6)
        color = np.roll(drawing.color, by, axis=(0, 1))[:, :, np.roll([0, 1, 2], variant % 3)]
        Image.fromarray(color).save(root / f"color/{seed:05}-{variant:02}.png", compress_level=1)
        line = np.roll(drawing.line, by, axis=(0, 1))
        Image.fromarray(line).save(root / f"line/{seed:05}-{variant:02}.png", compress_level=1)


def work(root: Path, sender: Connection) -> None:
    """Makes the dataset and tells what it took."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    began = time.perf_counter()
    prepared = prepare(root / "color", root / "dataset", root / "line")
    seconds = time.perf_counter() - began
    total = sum(prepared.counts.values())
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if peak is None:
        raise RuntimeError("Expected VmHWM in /proc/self/status, found none. This benchmark needs Linux.")
    sender.send(
        {
            "drawings": total,
            "drawings_per_second": total / seconds,
            "seconds": seconds,
            "peak_mib": int(peak[1]) / 1024,
            "dataset_mib": (root / "dataset/drawings.parquet").stat().st_size / 2**20,
            "report_kib": (root / "dataset/report.html").stat().st_size / 2**10,
            "groups": prepared.groups,
        }
    )


if __name__ == "__main__":
    main()
