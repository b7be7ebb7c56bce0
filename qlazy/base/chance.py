"""Generators of random numbers, global ones and objects, which code draws from without saying so."""

from __future__ import annotations

import pickle
import random

import numpy as np
import torch

GENERATORS = (
    random.Random, torch.Generator, np.random.Generator, np.random.RandomState, np.random.BitGenerator,
)  # fmt: skip
_GLOBAL = (random.random.__self__, torch.default_generator, np.random.random.__self__)  # type: ignore[attr-defined]


def is_global(generator: object) -> bool:
    """Whether a generator is behind the functions of ``random``, ``numpy.random`` or ``torch``."""
    return any(generator is one for one in _GLOBAL)


def random_states() -> dict[str, object]:
    """Where each global generator on the CPU stands: values that differ after something was drawn."""
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "random": random.getstate(),
        "numpy.random": pickle.dumps(np.random.get_state(legacy=False)),  # noqa: NPY002 (what others draw from)
    }


def state_of(generator: object) -> object:
    """Where one of :data:`GENERATORS` stands."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, torch.Generator):
        return generator.get_state().numpy(force=True).tobytes()
    if isinstance(generator, np.random.RandomState):
        return pickle.dumps(generator.get_state(legacy=False))
    bits = generator.bit_generator if isinstance(generator, np.random.Generator) else generator
    return pickle.dumps(getattr(bits, "state", None))
