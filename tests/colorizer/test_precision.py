"""What networks compute in."""

import pytest
import torch

from colorizer.precision import Computing

CPU = torch.device("cpu")


def computed_in(precision, device=CPU):
    layer, x = torch.nn.Conv2d(2, 3, 3), torch.zeros(1, 2, 5, 7)
    with Computing(precision, device).autocast():
        return layer(x).dtype


@pytest.mark.parametrize(("precision", "kind"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_convolutions_compute_in_what_is_asked_for(precision, kind):
    assert computed_in(precision) == kind


@pytest.mark.parametrize(
    ("able", "kind"),
    [({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16), ({"avx2": True}, torch.float32)],
)
def test_auto_is_bfloat16_on_processors_that_are_made_for_it(able, kind, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert computed_in("auto") == kind


def test_auto_goes_by_this_processor():
    able = torch.cpu.get_capabilities()
    made_for_it = bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    assert computed_in("auto") == (torch.bfloat16 if made_for_it else torch.float32)
