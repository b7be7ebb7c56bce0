"""How to step: the ways of walking down the objective F_a(w) = R(a h(w)) / a^2.

A method is a small frozen value. Its one verb, ``walk``, yields the states of the run, from the start on;
what to do with them (record, watch, stop) is the business of :mod:`qlazy.training.loop`.
"""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import (
    NotConvergedError,
    NotFiniteError,
    ZeroJacobianError,
    generator_of,
    make_numbers_plain,
    number_of,
    positive_of,
    refuse,
    require,
    require_choice,
    require_finite,
    require_flag,
    require_instance,
    whole_of,
)
from qlazy.kernels.operator import tangent_kernel
from qlazy.training.losses import Magnified, Objective, plain_settings

Floats = NDArray[np.float64]
Solver = Literal["LSODA", "Radau", "BDF", "RK45", "DOP853"]
Factory = Callable[[list[Tensor]], Any]
"""From a list with the one tensor of parameters to an optimiser, or to a pair (optimiser, scheduler)."""

Evaluate = Callable[[], float]
"""What torch.optim calls a closure: it gives the loss, and leaves its gradient with the parameters."""


class State(NamedTuple):
    """Where a run stands after ``step`` steps; ``risk`` is R(a h(w)), None where it would cost extra."""

    step: int
    time: float
    params: Tensor
    risk: float | None


class Method(abc.ABC):
    """A way to step. ``clock`` says what its time axis is, ``learning_rate`` what rate it stepped with, if any."""

    @property
    @abc.abstractmethod
    def clock(self) -> str:
        """The meaning of ``State.time``."""

    @abc.abstractmethod
    def walk(self, objective: Objective, params: Tensor, steps: int) -> Iterator[State]:
        """The states after 0, 1, ..., ``steps`` steps, each valid until the next is drawn.

        ``params``, the start, may be overwritten on the way.
        """

    def prepared(self, objective: Objective, params: Tensor) -> Method:
        """The method with whatever it left open settled for this objective."""
        return self

    def at_scale(self, alpha: float) -> Method:
        """The method under which outputs a h move as fast as at a = 1: itself, unless it undoes the factor 1/a^2."""
        return self


@dataclass(frozen=True)
class GradientDescent(Method):
    """w <- w - rate grad F_a(w), on all samples.

    Without a rate it is n / (2 lambda_max(K)), from the tangent kernel K of the unscaled model at the start. For
    the square loss that is half the fastest rate at which no mode of the linearised dynamics oscillates: room for
    a kernel that grows. Time is rate * step.

    Raises ValueError for a ``learning_rate`` that is not positive.
    """

    learning_rate: float | None = None

    def __post_init__(self) -> None:
        if self.learning_rate is not None:
            positive_of("learning_rate", self.learning_rate)
        make_numbers_plain(self)

    @property
    def clock(self) -> str:
        return "rate * step"

    def prepared(self, objective: Objective, params: Tensor) -> GradientDescent:
        return (
            self
            if self.learning_rate is not None
            else replace(self, learning_rate=stable_rate(objective, params))
        )

    def walk(self, objective: Objective, params: Tensor, steps: int) -> Iterator[State]:
        learning_rate = self.prepared(objective, params).learning_rate
        assert learning_rate is not None
        return optimize(
            torch.optim.SGD([params], lr=learning_rate), itertools.repeat(objective), steps, learning_rate
        )


@dataclass(frozen=True)
class SGD(Method):
    """Gradient descent on batches: each epoch goes once through all samples in an order drawn from ``seed``.

    ``momentum`` is heavy-ball momentum; time is rate * step without it, and the step with it.

    Each step takes ``batch_size`` samples and moves by ``learning_rate`` times their mean gradient; with all samples or
    more in a batch it is gradient descent, bit for bit. The linearised model takes the same batches. Raises TypeError
    for a seed that is no whole number, ValueError for other values out of range.
    """

    learning_rate: float
    batch_size: int
    momentum: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        positive_of("learning_rate", self.learning_rate)
        whole_of("batch_size", self.batch_size, 1)
        momentum = number_of("momentum", self.momentum)
        require(0 <= momentum < 1, "momentum", "be at least 0 and below 1", self.momentum)
        generator_of(self.seed)
        make_numbers_plain(self)

    @property
    def clock(self) -> str:
        return "step" if self.momentum else "rate * step"

    def walk(self, objective: Objective, params: Tensor, steps: int) -> Iterator[State]:
        optimizer = torch.optim.SGD([params], lr=self.learning_rate, momentum=self.momentum)
        return optimize(
            optimizer,
            batches(objective, self.batch_size, self.seed),
            steps,
            1.0 if self.momentum else self.learning_rate,
        )


@dataclass(frozen=True, repr=False)
class Adam(Method):
    """Adam on F_a (Kingma, Ba 2015, arXiv 1412.6980), on all samples or on batches. Time is the step.

    Adam divides the gradient by its own size and with it the factor 1/a^2: each step moves a parameter by
    about ``learning_rate`` whatever the scale, and the outputs a h by a times as much. To compare scales, let the rate
    fall as 1/a.

    ``betas`` are the decays of the means of the gradient and of its square, ``epsilon`` is added to the root.
    ``batch_size`` samples a step, in an order drawn from ``seed`` anew each epoch; all samples without it. The
    linearised model takes the same batches. Raises TypeError for betas that are not two numbers below 1 and for a seed
    that is no whole number, ValueError for a rate, epsilon or batch out of range.
    """

    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    batch_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        positive_of("learning_rate", self.learning_rate)
        must = "be two numbers of at least 0 and below 1"
        require(
            isinstance(self.betas, Sequence) and len(self.betas) == 2, "betas", must, self.betas, TypeError
        )
        require(
            all(0 <= number_of("betas", beta, must) < 1 for beta in self.betas), "betas", must, self.betas
        )
        epsilon = number_of("epsilon", self.epsilon, "be a number, not negative")
        require(0 <= epsilon < math.inf, "epsilon", "be a number, not negative", self.epsilon)
        if self.batch_size is not None:
            whole_of("batch_size", self.batch_size, 1)
        generator_of(self.seed)
        make_numbers_plain(self)

    @property
    def clock(self) -> str:
        return "step"

    def at_scale(self, alpha: float) -> Adam:
        return replace(self, learning_rate=self.learning_rate / alpha)

    def walk(self, objective: Objective, params: Tensor, steps: int) -> Iterator[State]:
        optimizer = torch.optim.Adam([params], lr=self.learning_rate, betas=self.betas, eps=self.epsilon)
        return optimize(optimizer, batches(objective, self.batch_size, self.seed), steps, 1.0)

    def __repr__(self) -> str:
        # Without batches as it has always been: kept runs are found by it.
        batch = "" if self.batch_size is None else f", batch_size={self.batch_size!r}, seed={self.seed!r}"
        settings = f"learning_rate={self.learning_rate!r}, betas={self.betas!r}, epsilon={self.epsilon!r}"
        return f"Adam({settings}{batch})"


@dataclass(frozen=True)
class LBFGS(Method):
    """L-BFGS on F_a, one iteration a step, by default with a strong Wolfe line search. Time is the step.

    It takes all samples: its line search and its memory compare gradients of one objective, and batches change it from
    step to step. :class:`Adam` and :class:`SGD` take batches.

    It walks in u = a (w - w0), where gradients and steps keep their size as a grows: in w they shrink as 1/a,
    and below the optimiser's absolute thresholds it would quietly fall back to gradient descent.

    ``learning_rate`` is the length of the first trial of a step, ``history`` the number of steps remembered,
    ``line_search`` whether there is one. Raises TypeError for a flag that is none, ValueError for numbers that are not
    positive.
    """

    learning_rate: float = 1.0
    history: int = 100
    line_search: bool = True

    def __post_init__(self) -> None:
        positive_of("learning_rate", self.learning_rate)
        whole_of("history", self.history, 1)
        require_flag("line_search", self.line_search)
        make_numbers_plain(self)

    @property
    def clock(self) -> str:
        return "step"

    def walk(self, objective: Objective, params: Tensor, steps: int) -> Iterator[State]:
        magnified = Magnified(objective, params)
        optimizer = torch.optim.LBFGS(
            [u := torch.zeros_like(params)],
            lr=self.learning_rate,
            max_iter=1,
            max_eval=26,
            history_size=self.history,
            tolerance_grad=0.0,
            tolerance_change=1e-14,
            line_search_fn="strong_wolfe" if self.line_search else None,
        )
        for state in optimize(optimizer, itertools.repeat(magnified), steps, 1.0):
            yield state._replace(params=magnified.place(u))


class Made(NamedTuple):
    """An optimiser, and its scheduler or None."""

    optimizer: torch.optim.Optimizer
    scheduler: Any

    def step(self, evaluate: Evaluate, risk: float) -> None:
        """One step of both, where ``risk`` is the loss before it.

        Raises ValueError where one of them cannot step; what ``evaluate`` raises goes on as it is.
        """
        raised: list[Exception] = []

        def closure() -> float:
            try:
                return evaluate()
            except Exception as error:
                raised.append(error)
                raise

        try:
            self.optimizer.step(closure)
            if self.scheduler is not None:
                plateau = isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
                self.scheduler.step(*([risk] if plateau else []))
        except Exception as error:
            if error in raised:
                raise
            names = " with ".join(type(one).__name__ for one in self if one is not None)
            said = f"{names}, which raises {type(error).__name__}: {error}"
            raise ValueError(f"`method` must be able to take every step, but is {said}") from error


@final
@dataclass(frozen=True, repr=False)
class TorchOptimizer(Method):
    """Any optimiser of torch.optim, with or without a scheduler. Time is the step.

    ``make`` takes a list with one tensor, all parameters (p,), and returns a torch.optim.Optimizer of it, or a pair of
    an optimiser and a scheduler, which steps after every step (ReduceLROnPlateau on the loss before the step): a class
    such as torch.optim.AdamW, or ``lambda params: torch.optim.AdamW(params, lr=0.01)``. ``batch_size`` samples a step,
    in an order drawn from ``seed`` anew each epoch; all samples without it.

    The optimiser sees v = a w, where the gradient of F_a and the way to go are of one size at every scale: one rate
    serves all. At a = 1 it is the plain loop of torch. By SGD, w then walks as without the factor, and by Adam its rate
    is divided by a, as that of :class:`Adam` is in ``compare``. Weight decay pulls w to 0 at one speed at every a.

    Raises TypeError for what makes no optimiser of the tensor that it is given, ValueError for a batch that is not
    positive.
    """

    make: Factory
    batch_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            whole_of("batch_size", self.batch_size, 1)
        generator_of(self.seed)
        self.made(torch.zeros(1, dtype=torch.float64))
        make_numbers_plain(self)

    @property
    def clock(self) -> str:
        return "step"

    @property
    def learning_rate(self) -> float | None:
        """The rate of the first step, where the optimiser has one."""
        optimizer, _ = self.made(torch.zeros(1, dtype=torch.float64))
        rate = optimizer.param_groups[0].get("lr")
        return None if rate is None else float(rate)

    def walk(self, objective: Objective, params: Tensor, steps: int) -> Iterator[State]:
        origin = torch.zeros_like(params)
        made = self.made(place := params * objective.alpha)
        parts = batches(objective, self.batch_size, self.seed)
        magnified = (Magnified(part, origin) for part in parts)
        for state in optimize(made.optimizer, magnified, steps, 1.0, made.step):
            yield state._replace(params=place / objective.alpha)

    def made(self, tensor: Tensor) -> Made:
        """The optimiser of a tensor, and its scheduler. Raises TypeError where ``make`` makes anything else."""
        must = "make a torch.optim.Optimizer, or a pair of it and a scheduler, from a list of one tensor"
        require(callable(self.make), "make", must, self.make, TypeError)
        try:
            made = self.make([tensor])
        except Exception as error:
            raise TypeError(f"`make` must {must}, but raises {type(error).__name__}: {error}") from error
        optimizer, scheduler = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
        require(isinstance(optimizer, torch.optim.Optimizer), "make", must, made, TypeError)
        steps = scheduler is None or callable(getattr(scheduler, "step", None))
        require(steps, "make", must, made, TypeError)
        held = [one for group in optimizer.param_groups for one in group["params"]]
        ours = len(held) == 1 and held[0] is tensor
        require(ours, "make", "give the optimiser the tensor that it is called with", made, TypeError)
        return Made(optimizer, scheduler)

    def __repr__(self) -> str:
        # Of what was made, not of what makes it: a function has an address, and no two starts agree on it.
        optimizer, scheduler = self.made(torch.zeros(1, dtype=torch.float64))
        settings = plain_settings(optimizer.param_groups[0])
        with_scheduler = [] if scheduler is None else [_scheduler_name(scheduler)]
        batch = [] if self.batch_size is None else [f"batch_size={self.batch_size}", f"seed={self.seed}"]
        return f"TorchOptimizer({', '.join([type(optimizer).__name__, *settings, *with_scheduler, *batch])})"


@dataclass(frozen=True)
class GradientFlow(Method):
    """The flow w' = -grad F_a(w) up to time ``horizon``, by a solver of scipy.integrate, in float64.

    LSODA, Radau and BDF cope with stiff kernels (eigenvalues orders of magnitude apart); RK45 and DOP853 are
    explicit. Step k of the run is the time horizon * k / steps: ``steps`` says how finely the path can be
    recorded, not how it is integrated. The solver works on u = a (w - w0), so that ``rtol`` and ``atol`` mean
    the same at every scale. NotConvergedError after ``max_steps`` steps of the solver, or evaluations of the gradient
    a hundred times as many: a horizon far beyond the time that training takes.

    Raises ValueError for a horizon or tolerance out of range, and for an unknown solver.
    """

    horizon: float
    solver: Solver = "LSODA"
    rtol: float = 1e-8
    atol: float = 1e-10
    max_steps: int = field(default=100_000, repr=False)

    def __post_init__(self) -> None:
        for name in ("horizon", "rtol", "atol"):
            positive_of(name, getattr(self, name))
        whole_of("max_steps", self.max_steps, 1)
        require_choice("solver", self.solver, get_args(Solver))
        make_numbers_plain(self)

    @property
    def clock(self) -> str:
        return "continuous time"

    def walk(self, objective: Objective, params: Tensor, steps: int) -> Iterator[State]:
        require(params.dtype == torch.float64, "params", "be float64 for gradient flow", params.dtype)
        magnified = Magnified(objective, params)
        yield State(0, 0.0, params, None)
        solver = self._solver(magnified)
        left = itertools.count(self.max_steps, -1)
        for step in range(1, steps + 1):
            time = self.horizon * (step / steps)
            u = torch.tensor(self._advance(solver, time, left)).to(params)
            yield State(step, time, magnified.place(u), None)

    def _solver(self, magnified: Magnified) -> Any:
        import scipy.integrate  # slow to import, and for this alone

        left = itertools.count(100 * self.max_steps, -1)

        def velocity(_: float, u: Floats) -> Floats:
            self._require_budget(next(left) > 0)
            _, gradient = magnified.risk_and_gradient(torch.tensor(u).to(magnified.origin))
            require_finite("gradient", gradient)
            return -gradient.cpu().numpy()

        start = np.zeros(magnified.origin.numel())
        make = getattr(scipy.integrate, self.solver)
        return make(velocity, 0.0, start, self.horizon, rtol=self.rtol, atol=self.atol)

    def _require_budget(self, enough: bool) -> None:
        must = f"be reached within max_steps={self.max_steps} steps of the solver"
        require(enough, "horizon", must, f"{self.horizon:g}", NotConvergedError)

    def _advance(self, solver: Any, time: float, left: Iterator[int]) -> Floats:
        while solver.t < time:
            self._require_budget(next(left) > 0)
            message = solver.step()
            if solver.status == "failed":
                raise NotFiniteError(f"{self.solver} failed at time {solver.t:g}: {message}")
        return solver.y if solver.t == time else solver.dense_output()(time)


_CALLED = {
    "gd": "qlazy.GradientDescent()",
    "gradient descent": "qlazy.GradientDescent()",
    "sgd": "qlazy.SGD(0.1, batch_size=16)",
    "adam": "qlazy.Adam(0.01)",
    "lbfgs": "qlazy.LBFGS()",
    "l-bfgs": "qlazy.LBFGS()",
    "flow": "qlazy.GradientFlow(horizon=10.0)",
}
"""What stands in Python for the names that methods have in speech and on the command line."""


def method_of(method: object) -> Method:
    """The method, or a :class:`TorchOptimizer` of a class or factory of torch.optim."""
    if isinstance(method, str) and method.lower() in _CALLED:
        refuse("method", f"be a method, `{_CALLED[method.lower()]}`", f"a text, {method!r}", TypeError)
    if isinstance(method, Method) or not callable(method) or _is_method(method):
        require_instance("method", method, Method, "GradientDescent() or torch.optim.AdamW")
        assert isinstance(method, Method)
        return method
    try:
        return TorchOptimizer(method)
    except TypeError as error:
        raise TypeError(
            f"`method` must be such as GradientDescent() or torch.optim.AdamW: {error}"
        ) from error


def stable_rate(objective: Objective, params: Tensor) -> float:
    """n / (2 lambda_max(K)) with K the tangent kernel of the unscaled model at ``params``.

    Raises ZeroJacobianError where K is zero.
    """
    largest = tangent_kernel(objective.model, params, objective.x).eigh(1).values.item()
    require(
        largest > 0, "learning_rate", "be given where the tangent kernel is zero", "None", ZeroJacobianError
    )
    return len(objective.x) / (2 * largest)


def critical_rate(objective: Objective, params: Tensor) -> float:
    """2 n / (c lambda_max(K)): above it descent on the linearised model leaves what it came from, or may.

    K is the tangent kernel of the unscaled model at ``params`` and c the loss's largest second derivative in its
    outputs (:attr:`qlazy.training.losses.Loss.curvature`): 1 for the square loss, whose linearised path diverges above
    it (Scala 2025, arXiv 2503.01966), 1/4 for the logistic loss and 1/2 for cross-entropy, whose path falls without
    fail below it, and may swing above. NaN where c is not known. Raises ZeroJacobianError where K is zero.
    """
    return 4 * stable_rate(objective, params) / objective.loss.curvature


def batches(objective: Objective, batch_size: int | None, seed: int) -> Iterator[Objective]:
    """The objective on batches without end: each epoch all samples once, in an order drawn from ``seed``.

    The objective itself, its samples in their order, where a batch holds all of them.
    """
    for rows in batch_rows(len(objective.x), batch_size, seed):
        yield objective if rows is None else objective.rows(rows.to(objective.x.device))


def batch_rows(samples: int, batch_size: int | None, seed: int) -> Iterator[Tensor | None]:
    """The places of the samples of one batch after another, (batch_size,) or the rest of an epoch; None for all."""
    if batch_size is None or batch_size >= samples:
        yield from itertools.repeat(None)
    generator = generator_of(seed)
    while True:
        yield from torch.randperm(samples, generator=generator).split(batch_size)


def optimize(
    optimizer: torch.optim.Optimizer,
    objectives: Iterator[Objective | Magnified],
    steps: int,
    tick: float,
    step_by: Callable[[Evaluate, float], None] | None = None,
) -> Iterator[State]:
    """Let ``optimizer`` take ``steps`` steps, the k-th on the k-th objective; the clock ticks by ``tick``.

    ``step_by`` steps in its place, by what evaluates the objective and the loss before the step.
    """
    (params,) = optimizer.param_groups[0]["params"]
    for step, objective in zip(range(steps + 1), objectives, strict=False):
        risk, params.grad = objective.risk_and_gradient(params)
        yield State(step, tick * step, params, risk)
        if step < steps:
            evaluate = _closure(params, objective, risk)
            optimizer.step(evaluate) if step_by is None else step_by(evaluate, risk)


def _closure(params: Tensor, objective: Objective | Magnified, risk: float) -> Evaluate:
    """What torch.optim evaluates: first the risk whose gradient is there already, then afresh."""
    known = [risk]

    def evaluate() -> float:
        if known:
            return known.pop()
        risk, params.grad = objective.risk_and_gradient(params)
        return risk

    return evaluate


def _is_method(method: object) -> bool:
    return isinstance(method, type) and issubclass(method, Method)


def _scheduler_name(scheduler: object) -> str:
    return (
        f"{type(scheduler).__name__}({', '.join(plain_settings(vars(scheduler), 'last_epoch', 'verbose'))})"
    )
