"""neural-tangents: its empirical kernel under jit, by each of its implementations that its manual offers for speed."""

from __future__ import annotations

import jax
import neural_tangents as nt

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.jax_arrays import compiled, native
from qlazy.bench.workloads import NetWorkload

__all__ = ["native", "ways"]

_IMPLEMENTATIONS = ("STRUCTURED_DERIVATIVES", "JACOBIAN_CONTRACTION")


def ways(workload: NetWorkload, dtype: str, threads: int) -> Ways:
    def way(name: str) -> Compute:
        return _kernel(workload, nt.NtkImplementation[name])

    return {
        name.lower().replace("_", " "): lambda name=name: way(name)  # type: ignore[misc]
        for name in _IMPLEMENTATIONS
    }


def _kernel(workload: NetWorkload, implementation: nt.NtkImplementation) -> Compute:
    empirical = nt.empirical_ntk_fn(_forward, trace_axes=(), vmap_axes=0, implementation=implementation)

    def kernel(params: jax.Array, x: jax.Array) -> jax.Array:
        return empirical(x, None, workload.split(params)).transpose(0, 2, 1, 3)

    return compiled(kernel)


def _forward(params: list[jax.Array], x: jax.Array) -> jax.Array:
    pairs = list(zip(params[::2], params[1::2], strict=True))
    for weight, bias in pairs[:-1]:
        x = (
            jax.numpy.tanh(x @ weight.T + bias)
            if weight.ndim == 2
            else jax.nn.relu(_convolve(x, weight, bias))
        )
    weight, bias = pairs[-1]
    return x.reshape(len(x), -1) @ weight.T + bias


def _convolve(x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    layout = ("NCHW", "OIHW", "NCHW")
    out = jax.lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=layout)
    return out + bias[:, None, None]
