"""Names of what is kept: other settings or other numbers have another name, and nothing else has."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from qlazy.base.keys import digest, key, readable


def test_a_digest_is_of_dtype_shape_and_every_bit() -> None:
    one = torch.arange(6.0, dtype=torch.float64)
    written = b"<f8(6,)" + np.arange(6.0).tobytes()
    assert digest(one) == digest(np.arange(6.0)) == hashlib.sha256(written).hexdigest()
    others = (
        one.float(), one.view(2, 3), one.nextafter(one + 1), one[:5], one.flip(0), torch.zeros(6), -one,
    )  # fmt: skip
    assert len({digest(other) for other in (one, *others)}) == 8
    assert digest(one[::2]) == digest(one[::2].clone())
    assert digest(one.requires_grad_()) == digest(one.detach())


def test_where_one_array_ends_and_the_next_begins_counts() -> None:
    x = torch.arange(4.0)
    assert len({digest(x), digest(x[:2], x[2:]), digest(x[:1], x[1:]), digest(x[2:], x[:2])}) == 4


def test_a_key_tells_settings_and_arrays_apart() -> None:
    x = torch.ones(2)
    keys = {
        key("net", {"a": 1}), key("net", {"a": 1.5}), key("net", {"a": "1"}), key("net", {"a": None}),
        key("net", {"a": 1}, x), key("net", {"a": 1}, x, x), key("net", {"a": {"b": [1, 2]}}),
        key("net", {"a": {"b": [2, 1]}}),
    }  # fmt: skip
    assert len(keys) == 8
    assert key("net", {"a": 1, "b": 2}, x) == key("net", {"b": 2, "a": 1}, x.clone())
    assert all(name.startswith("net-") and len(name) == 4 + 12 for name in keys)


def test_a_stem_fits_any_file_system() -> None:
    assert readable("my net: 3 layers/α_2") == "my-net--3-layers-α_2"
    assert len(readable("n" * 300)) == 40
