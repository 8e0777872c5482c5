"""Tests of the networks are many small steps, which several threads would only make wait for each other."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Whatever a test before has set."""
    torch.set_num_threads(1)
