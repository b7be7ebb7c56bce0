"""Arrays, compiled batches and the square loss in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from qlazy.bench.peers import Ways
from qlazy.bench.workloads import Array, CircuitWorkload


def native(array: Array, dtype: str) -> jax.Array:
    """An array of JAX, which is told once whether it may compute in double precision."""
    jax.config.update("jax_enable_x64", dtype == "float64")
    return jax.numpy.asarray(array, dtype)


def compiled(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """The function under jit, whose call ends when the result is there."""
    run = jax.jit(function)
    return lambda *arrays: run(*arrays).block_until_ready()


def _trained(
    workload: CircuitWorkload, outputs: Callable[[Any, Any], jax.Array], loss: Callable[..., jax.Array]
) -> Callable[..., jax.Array]:
    """All runs side by side, each a scan over its steps."""

    def run(starts: jax.Array, x: jax.Array, targets: jax.Array) -> jax.Array:
        def single(start: jax.Array, alpha: jax.Array) -> jax.Array:
            aims = jax.vmap(outputs, (None, 0))(start, x) + targets / alpha

            def step(params: jax.Array, _: None) -> tuple[jax.Array, None]:
                return params - workload.learning_rate * jax.grad(loss)(params, x, aims), None

            return jax.lax.scan(step, start, None, length=workload.steps)[0]

        scales = jax.numpy.asarray(workload.alphas, starts.dtype)
        at_scales = jax.vmap(jax.vmap(single, (None, 0)), (0, None))
        return at_scales(starts, scales).reshape(-1, starts.shape[1])

    return run


def circuit_ways(workload: CircuitWorkload, outputs: Callable[[Any, Any], jax.Array]) -> Ways:
    """What is asked of a circuit, for its outputs (c,) on one row."""

    def loss(params: jax.Array, x: jax.Array, targets: jax.Array) -> jax.Array:
        residuals = jax.vmap(outputs, (None, 0))(params, x) - targets
        return (residuals**2).sum() / (2 * len(x))

    if workload.task == "loss gradient":
        return {"jit(grad)": lambda: compiled(jax.grad(loss))}
    if workload.task == "training":
        return {"jit(vmap(scan(grad)))": lambda: compiled(_trained(workload, outputs, loss))}
    if workload.is_second:

        def total(params: jax.Array, x: jax.Array) -> jax.Array:
            return jax.vmap(outputs, (None, 0))(params, x).sum()

        def product(params: jax.Array, x: jax.Array, direction: jax.Array) -> jax.Array:
            return jax.jvp(lambda w: jax.grad(total)(w, x), (params,), (direction,))[1]

        if workload.task == "hessian product":
            return {"jit(jvp(grad))": lambda: compiled(product)}
        return {"jit(hessian)": lambda: compiled(jax.hessian(total))}
    if workload.outputs > 1:
        return {"jit(vmap(jacrev))": lambda: compiled(jax.vmap(jax.jacrev(outputs), (None, 0)))}
    gradients = jax.vmap(jax.grad(lambda params, row: outputs(params, row)[0]), (None, 0))
    return {"jit(vmap(grad))": lambda: compiled(lambda params, x: gradients(params, x)[:, None])}
