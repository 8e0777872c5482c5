"""The page of `huetune inspect` in a browser, which is made of the pieces of a report: wide, narrow, light, dark."""

import numpy as np
import pytest

from colorizer.inspecting import page as inspect_page
from colorizer.inspecting.error_analysis import Account, Finding
from colorizer.inspecting.feature_pictures import Maps
from colorizer.inspecting.inspection import Inspection, Shown


@pytest.fixture(scope="module")
def inspected(tmp_path_factory):
    rng = np.random.default_rng(0)
    scores = {name: rng.uniform(1, 20, 60) for name in ("mse", "psnr", "ssim", "ciede2000", "colourfulness")}
    names = [f"a-drawing-of-a-rather-long-name-{n:05d}" for n in range(60)]
    told = Inspection(
        name="a-checkpoint-of-a-rather-long-name-00011-000004",
        split="val",
        scores={"psnr": 19.3, "ssim": 0.9, "ciede2000": 5.5, "colourfulness": 0.8},
        baselines={
            "line_copied": {"psnr": 17.2, "ssim": 0.88, "ciede2000": 5.8, "colourfulness": 0.0},
            "mean_image": {"psnr": 11.7, "ssim": 0.24, "ciede2000": 14.6, "colourfulness": 0.42},
        },
        verdicts=["overfits: validation 4.6 x train", "colours are washed out: 12% of the truth's colourfulness"],
        seen=Account(names, np.arange(60), ["flags"] * 60, scores, {}),
        findings=[
            Finding("flags", True, 1.8, 1.5, 2.2, 21),
            Finding("line density", False, 0.4, 0.3, 0.5, 60),
            Finding("darkness", False, -0.1, -0.3, 0.1, 60),
        ],
        drawings={
            kind: [Shown(n, [pixels(rng, 24) for _ in inspect_page.KINDS]) for n in range(start, start + 4)]
            for start, kind in enumerate(("worst", "best", "typical"))
        },
        filters=pixels(rng, 200),
        maps=[Maps(f"down.{n}", 32, 16, (12, 12), pixels(rng, 400)) for n in range(3)],
        mapped=names[0],
        facts={"dataset": "/somewhere/drawings (digest 0123456789ab…)", "trained for": "3,000 steps, 4 reports"},
    )
    path = tmp_path_factory.mktemp("inspected") / "inspect.html"
    path.write_text(inspect_page.page(told), encoding="utf-8")
    return path


def pixels(rng, side):
    return rng.integers(0, 256, (side // 2, side, 3), np.uint8)


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_it_fits_its_window_and_axe_finds_nothing_serious(visit, inspected, width, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed").Axe
    page = visit(inspected, width, theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    broken = "[...document.images].filter((image) => !image.complete || !image.naturalWidth).length"
    assert page.evaluate(broken) == 0
    assert page.locator("main > section").count() == 5
    found = axe().run(page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []
