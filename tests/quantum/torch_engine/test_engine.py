"""The torch engine against the compiled simulator, on the CPU and on a CUDA device where there is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import qlazy
from qlazy.quantum.backends.backend import LoweredBackend
from qlazy.quantum.backends.programs import lowered_program
from qlazy.quantum.corpus import load_program
from qlazy.quantum.torch_engine.backend import OnDevice
from qlazy.quantum.torch_engine.engine import TorchCircuit, TorchEngine
from qlazy.simulator import PauliRotation, by_cones
from tests.simulator.circuits import cases

CPU = torch.device("cpu")
CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"))


def wanting(case):
    """The case with derivatives by every angle: others may be left at zero."""
    operations = (replace(o, wanted=True) if isinstance(o, PauliRotation) else o for o in case.operations)
    return replace(case, operations=tuple(operations))


def check(engine, reference, shared, sampled, seed, atol=1e-12):
    weights = np.random.default_rng(seed).normal(size=(len(sampled), reference.num_outputs))
    weights = weights.astype(shared.dtype)
    values, derivatives = engine.sweep(shared, sampled)
    expected, by_angle = reference.sweep(shared, sampled)
    weighted, by_sum = (c.weighted(weights, shared, sampled) for c in (engine, reference))
    pairs = [
        (engine.values(shared, sampled), expected),
        (values, expected),
        *zip(derivatives, by_angle, strict=True),
        *zip(weighted, by_sum, strict=True),
    ]
    for found, right in pairs:
        assert found.dtype == right.dtype
        np.testing.assert_allclose(found, right, rtol=0, atol=atol)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@settings(max_examples=60, deadline=None)
@given(case=cases(), seed=st.integers(0, 99))
def test_random_circuits_agree_with_the_compiled_simulator(device, case, seed):
    case = wanting(case)
    engine = TorchCircuit(case.wires, case.operations, case.observables, torch.device(device))
    check(engine, case.circuit(), case.shared, case.sampled, seed)


@settings(max_examples=10, deadline=None)
@given(case=cases())
def test_single_precision(case):
    case = wanting(case)
    engine = TorchCircuit(case.wires, case.operations, case.observables, CPU)
    shared, sampled = case.shared.astype(np.float32), case.sampled.astype(np.float32)
    check(engine, case.circuit(), shared, sampled, 0, atol=2e-4)


def test_samples_and_outputs_in_several_parts(monkeypatch):
    lowering = lowered_program(load_program("hardware_efficient", n=4, layers=2))
    model = qlazy.load_circuit("hardware_efficient", n=4, layers=2)
    x = torch.rand(7, load_program("hardware_efficient", n=4, layers=2).num_features, dtype=torch.float64)
    params = model.init(torch.Generator().manual_seed(0))
    monkeypatch.setattr("qlazy.quantum.torch_engine.engine.AMPLITUDES", 48)  # three samples of 16 amplitudes
    backend = OnDevice(LoweredBackend(lowering), CPU)
    torch.testing.assert_close(backend.jacobian(params, x), model.jacobian(params, x), rtol=0, atol=1e-12)


def wide(n=30):
    model = qlazy.load_circuit("light_cone", n=n)
    x = torch.rand(3, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return model, model.init(torch.Generator().manual_seed(0)), x


def test_light_cones():
    model, params, x = wide()
    lowering = model.lowering(x)
    backend = OnDevice(LoweredBackend(lowered_program(load_program("light_cone", n=30))), CPU)
    torch.testing.assert_close(backend.outputs(params, x), model(params, x), rtol=0, atol=1e-12)
    torch.testing.assert_close(backend.jacobian(params, x), model.jacobian(params, x), rtol=0, atol=1e-12)
    shape = lowering.num_wires, lowering.operations, lowering.observables
    angles = np.random.default_rng(0)
    reference, engine = by_cones(*shape), TorchEngine(*shape, device=CPU)
    shared, sampled = angles.normal(size=reference.num_shared), angles.normal(size=(3, reference.num_sampled))
    check(engine, reference, shared, sampled, 0)


def test_autograd_and_torch_func_pass_through():
    model = qlazy.load_circuit("hardware_efficient", n=3, layers=1)
    program = load_program("hardware_efficient", n=3, layers=1)
    backend = OnDevice(LoweredBackend(lowered_program(program)), CPU)
    x = torch.rand(2, program.num_features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    params = model.init(torch.Generator().manual_seed(0))
    lanes = torch.stack([params, params + 0.3])

    def through(forward):
        def loss(w, x):
            return forward(w, x).square().sum()

        return [
            torch.func.grad(loss, (0, 1))(params, x),
            torch.func.vmap(torch.func.grad(loss), (0, None))(lanes, x),
            torch.func.hessian(loss)(params, x),
            torch.func.jvp(lambda w: forward(w, x), (params,), (lanes[1],)),
        ]

    torch.testing.assert_close(through(backend.outputs), through(model), rtol=0, atol=1e-10)


def test_parameters_elsewhere_take_the_torch_engine():
    model, params, x = wide(4)
    model(params, x)
    assert not model.backend_reason
    assert isinstance(model._chosen.backend(params.to("meta"), x.to("meta")), OnDevice)
    assert model.backend == "adjoint"
    assert model.backend_reason == "states on meta, run by torch"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_circuit_on_a_cuda_device():
    model, params, x = wide()
    found = model.jacobian(params.cuda(), x.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), model.jacobian(params, x), rtol=0, atol=1e-12)
    gradient = torch.func.grad(lambda w: model(w, x.cuda()).sum())(params.cuda())
    torch.testing.assert_close(gradient.cpu(), model.jacobian(params, x).sum((0, 1)), rtol=0, atol=1e-12)
