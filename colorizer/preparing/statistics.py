"""What is known of the training split in numbers: stored with the dataset, and with the models that learn from it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_INPUTS = np.arange(256) / 127.5 - 1  # the value 0 to 255 of a pixel, as networks are given it


def statistics(values: NDArray[np.int64], densities: NDArray[np.float32]) -> dict[str, Any]:
    """Mean and spread of networks' inputs, in [-1, 1], and the density of the line drawings.

    Args:
        values: (4, 256), how often line, red, green and blue have each of the values 0 to 255.
        densities: (N,), of each drawing the share of its line drawing that is darker than mid-grey.

    Returns:
        {"line": {"mean", "std", "density"}, "color": {"mean": [3], "std": [3]}, "density": [q05, q50, q95]}.
    """
    shares = values / values.sum(axis=1, keepdims=True)
    means = shares @ _INPUTS  # (4,)
    stds = np.sqrt(np.maximum(0, shares @ _INPUTS**2 - means**2))
    return {
        "line": {"mean": float(means[0]), "std": float(stds[0]), "density": float(densities.mean(dtype=np.float64))},
        "color": {"mean": means[1:].tolist(), "std": stds[1:].tolist()},
        "density": np.quantile(densities.astype(np.float64), [0.05, 0.5, 0.95]).tolist(),
    }
