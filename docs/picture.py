"""Takes the README's pictures of a report in Chromium: the answer, the parameters, the ensemble.

    python docs/picture.py runs/quick/report.html docs

None shows a drawing of the dataset: whose these are is nobody else's to decide.
"""

import io
import re
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

WIDTH = 1200
# What is shown, from the top of one element to the foot of another.
SHOWN = {
    "report": ("nav", "#answer .pair"),
    "report-parameters": ("#importances", "#parallel"),
    "report-ensemble": ("#gain-by-cost", "#colour-strength"),
}
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def main(report: Path, folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, reduced_motion="reduce")
        page.goto(report.resolve().as_uri())
        page.set_viewport_size({"width": WIDTH, "height": page.evaluate("document.documentElement.scrollHeight")})
        expect(page.locator(".plot[data-drawn=true]")).to_have_count(page.locator(".plot").count(), timeout=60_000)
        # Where somebody's dataset lies is nobody else's business.
        winner = page.locator("#winner code")
        shortened = re.sub(r'("data": )"[^"]*/', r'\1"', winner.inner_text())
        winner.evaluate("(element, text) => { element.textContent = text }", shortened)
        for name, (first, last) in SHOWN.items():
            (folder / f"{name}.png").write_bytes(taken(page, first, last))
        browser.close()


def taken(page: Page, first: str, last: str) -> bytes:
    """A PNG of 256 colours, a quarter of the size and no worse to look at."""
    top, foot = page.locator(first).first.bounding_box(), page.locator(last).first.bounding_box()
    if top is None or foot is None:
        raise ValueError(f"Expected {first} and {last} on the page, found one of them nowhere.")
    low = foot["y"] + foot["height"] + 16
    shot = page.screenshot(clip={"x": 0, "y": top["y"], "width": WIDTH, "height": low - top["y"]})
    small = Image.open(io.BytesIO(shot)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    written = io.BytesIO()
    small.save(written, "PNG", optimize=True)
    return written.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
