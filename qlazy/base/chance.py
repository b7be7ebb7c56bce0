"""Global generators of random numbers, which code draws from without saying so."""

from __future__ import annotations

import pickle
import random

import numpy as np
import torch


def random_states() -> dict[str, object]:
    """Where each global generator on the CPU stands: values that differ after something was drawn."""
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "random": random.getstate(),
        "numpy.random": pickle.dumps(np.random.get_state(legacy=False)),  # noqa: NPY002 (what others draw from)
    }
