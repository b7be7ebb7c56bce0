"""The study of lazy training in its quick setting, and the batched students held to the library's own training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from qlazy import GradientDescent, tangent_kernel, train
from qlazy.base.storage import load_arrays
from qlazy.studies import find_study
from qlazy.studies.lazy import convolutional, reuploading, two_layer
from qlazy.studies.lazy.study import Settings, run
from qlazy.studies.lazy.teacher_student import PAPER_SIZE, REFERENCE
from qlazy.training.history import DivergedError
from qlazy.training.loop import Record
from tests.drawing.looking import faults


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lazy")
    return run(Settings.quick(), folder, progress=False), folder


def test_no_claim_fails(finished) -> None:
    result, _ = finished
    assert [finding for finding in result.findings if finding.disagrees] == []
    claimed = {finding.experiment for finding in result.findings if finding.relation}
    assert claimed == {
        "Fig 1a, b",
        "Fig 1c",
        "Fig 2a",
        "Fig 2b",
        "CNN",
        "circuit, teacher",
        "circuit, digits",
    }


def test_test_loss_rises_from_the_rich_to_the_lazy_regime(finished) -> None:
    """Figure 1c: at every step in tau, and most of all between 0.01 and 1."""
    loss = finished[0].arrays["final"].mean(1)
    assert (np.diff(loss) > 0).all()


def test_what_it_leaves_behind(finished) -> None:
    result, folder = finished
    assert (folder / "table.txt").read_text() == f"{result.table()}\n"
    arrays, settings = load_arrays(folder / "result.npz")
    assert np.array_equal(arrays["net_measured"], result.arrays["net_measured"])
    assert "float32" in settings["dtype"]
    for name in ("neurons", "students", "images", "circuits"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
        assert (folder / f"{name}.svg").exists()


def test_the_full_setting_is_the_papers() -> None:
    full = Settings.full()
    scale = full.scale
    assert (scale.inputs, scale.train_size, scale.neurons, scale.steps) == PAPER_SIZE
    assert set(REFERENCE) <= set(scale.taus)
    assert scale.seeds == 10
    assert (scale.plateau, *full.width.claimed) == (30, 128, 4)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 2e-3)])
def test_students_side_by_side_are_trained_as_alone(dtype, rtol) -> None:
    """Against :func:`qlazy.train`, which differentiates by autograd, at three initial scales and three a."""
    teacher = two_layer.TeacherNet.draw(5, generator())
    data = teacher.task(40, 30, generator(1))
    taus = torch.tensor([0.05, 1.0, 10.0], dtype=torch.float64)
    params = taus[:, None] * two_layer.draw_symmetrized(5, 8, 1.0, generator(2))
    rates, alphas = 0.05 / taus.clamp(min=1).square(), torch.tensor([1.0, 2.0, 0.5])
    paths = two_layer.descend_together(
        params, data, rates, 60, alphas=alphas, record=Record(at=(0, 30, 60)), dtype=dtype
    )
    assert paths.steps.tolist() == [0, 30, 60]
    for i in range(3):
        alone = train(
            two_layer.student(5, 8), params[i], data, steps=60, alpha=float(alphas[i]),
            method=GradientDescent(float(rates[i])), record=Record(at=(0, 30, 60)),
        )  # fmt: skip
        np.testing.assert_allclose(paths.train_loss[:, i], alone.train_loss, rtol=rtol)
        np.testing.assert_allclose(paths.test_loss[:, i], alone.test_loss, rtol=rtol)
        moved = alone.params[-1] - alone.params[0]
        error = np.linalg.norm(paths.params[-1, i].numpy() - alone.params[-1]) / np.linalg.norm(moved)
        assert error < rtol


def test_float32_moves_where_weights_in_float32_would_stand_still() -> None:
    """At tau = 30 a step is some 4e-7, and numbers near 30 are 2e-6 apart in float32: v itself would not move."""
    teacher = two_layer.TeacherNet.draw(5, generator())
    data = teacher.task(40, 30, generator(1))
    params = two_layer.draw_symmetrized(5, 8, 30.0, generator(2))[None]
    settings = {"rates": torch.tensor([5e-8], dtype=torch.float64), "steps": 50}
    exact, single = (
        two_layer.descend_together(params, data, dtype=dtype, **settings)
        for dtype in (torch.float64, torch.float32)
    )
    moves = [paths.params[-1] - params for paths in (exact, single)]
    assert moves[0].abs().max() / 50 < 1e-6
    assert (moves[1] - moves[0]).norm() < 0.01 * moves[0].norm()


def test_symmetrized_students_start_from_zero_with_both_signs() -> None:
    params = two_layer.draw_symmetrized(3, 6, 2.0, generator())
    outer = params[-6:]
    assert (outer[:3] > 0).all()
    assert torch.equal(outer[3:], -outer[:3])
    x = two_layer.on_sphere(20, 3, generator(1))
    torch.testing.assert_close(x.norm(dim=1), torch.ones(20, dtype=torch.float64))
    assert two_layer.student(3, 6)(params, x).abs().max() < 1e-12
    with pytest.raises(ValueError, match="`neurons` must be even, to be copied in pairs, but is 5"):
        two_layer.draw_symmetrized(3, 5, 1.0, generator())


def test_null_loss_of_teachers_on_the_sphere() -> None:
    """E f^2 / 2 of three orthogonal neurons, d large: 3/(4d) + signs 3/(2 pi d) for equal signs, -1/(2 pi d) otherwise.

    E relu(u.x)^2 = 1/(2d) and E relu(u.x) relu(v.x) = 1/(2 pi d) for orthogonal u, v.
    """
    directions, x = torch.eye(60, dtype=torch.float64)[:3], two_layer.on_sphere(200_000, 60, generator())
    for signs, cross in (((1.0, 1.0, 1.0), 3), ((1.0, 1.0, -1.0), -1)):
        teacher = two_layer.TeacherNet(directions, torch.tensor(signs, dtype=torch.float64))
        null = float(teacher(x).square().mean()) / 2
        assert null == pytest.approx((3 / 4 + cross / (2 * np.pi)) / 60, rel=0.02)


def test_fresh_samples_reach_the_population_minimum() -> None:
    """A student of small weights finds the teacher: the population loss falls far below the null loss."""
    teacher = two_layer.TeacherNet.draw(4, generator(3))
    params = two_layer.draw_symmetrized(4, 12, 0.1, generator(4))[None]
    paths = two_layer.descend_on_fresh(
        params, teacher, torch.tensor([0.5]), 3000, batch=50, test=500, generator=generator(5)
    )
    assert paths.test_loss[-1, 0] < 0.02 * paths.test_loss[0, 0]


def test_students_that_run_away_are_stopped() -> None:
    teacher = two_layer.TeacherNet.draw(5, generator(), factor=1e6)
    data = teacher.task(20, 20, generator(1))
    params = two_layer.draw_params(5, 4, 1.0, generator(2))[None]
    with pytest.raises(DivergedError, match="training diverged by step"):
        two_layer.descend_together(params, data, torch.tensor([1e3]), 200)


def test_parameters_of_the_wrong_length_are_refused() -> None:
    data = two_layer.TeacherNet.draw(5, generator()).task(10, 10, generator(1))
    with pytest.raises(ValueError, match=r"`params` must have shape \(r, m \(d \+ 1\)\) with d = 5"):
        two_layer.descend_together(torch.zeros(1, 7), data, torch.ones(1), 1)
    with pytest.raises(ValueError, match="`rates` must have shape"):
        two_layer.descend_together(torch.zeros(1, 12), data, torch.ones(2), 1)


def test_images_are_standardised_on_the_training_part_alone() -> None:
    data = convolutional.images("digits", 100, 50, 0)
    assert data.x_train.shape == (100, 1, 8, 8)
    assert data.x_test.shape == (50, 1, 8, 8)
    assert abs(float(data.x_train.mean())) < 1e-5
    assert float(data.x_train.std()) == pytest.approx(1, abs=1e-4)
    assert float(data.x_test.std()) != pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(data.y_train.sum(1), torch.zeros(100), atol=1e-6, rtol=0)


def test_large_images_are_averaged_down() -> None:
    data = convolutional.images("mnist", 60, 30, 0)
    assert data.x_train.shape == (60, 1, 14, 14)


def test_the_convolutional_net_keeps_its_variance_and_has_no_batch_norm() -> None:
    """He initialisation: outputs of order one on inputs of variance one; gates are ReLU calls."""
    net = convolutional.vgg(14, 8)
    params = net.init(generator())
    x = torch.randn(64, 1, 14, 14, generator=generator(1))
    assert 0.3 < float(net(params, x).square().mean()) < 10
    kinds = [type(part) for part in net.module.modules()]
    assert kinds.count(nn.Conv2d) == 4
    assert kinds.count(nn.ReLU) == 4
    assert nn.BatchNorm2d not in kinds
    assert net.init(generator()).equal(params)


def test_the_circuit_student_can_be_the_teacher() -> None:
    """Labels are h(u) - h(w0), of another u, at the w0 from which ``compare`` starts."""
    circuit = reuploading.load_circuit(reuploading.FAMILY, n=2, layers=2)
    data = reuploading._task(circuit, 2, 10, 5)
    start = circuit.init(generator(5))
    source = generator(1005)
    u = circuit.init(source)
    torch.testing.assert_close(data.y_test, circuit(u, data.x_test) - circuit(start, data.x_test))
    assert float(tangent_kernel(circuit, start, data.x_train).trace()) > 0


def test_figures_have_no_faults(finished) -> None:
    """Nothing is cut, covered or bare, and each has a caption of its own."""
    result, _ = finished
    assert faults(find_study("lazy").figures(result)) == []
