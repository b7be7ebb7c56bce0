"""Classical nets as models: any torch module that maps each sample on its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from numbers import Integral
from types import CellType, FunctionType
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from qlazy.base.errors import (
    UnsupportedModelError,
    generator_or_seed,
    require,
    require_flag,
    require_real_dtype,
    require_shape,
)
from qlazy.base.memory import require_bytes
from qlazy.base.torch_private import in_plain_autograd, plain_params, plain_rows
from qlazy.models.derivatives import Derivatives, Key, hessian_product, kind_of, second_derivative
from qlazy.models.layerwise import (
    Part,
    chain_of,
    choice,
    is_applicable,
    is_dense,
    layerwise_gram,
    layerwise_jacobian,
)
from qlazy.models.model import AutogradModel, blocks_of
from qlazy.models.modules.conversions import conversions_of
from qlazy.models.modules.flops import gradient_flops
from qlazy.models.modules.keyed import keyed
from qlazy.models.modules.known_modules import maps_each_sample
from qlazy.models.modules.outputs import Picked
from qlazy.models.modules.starts import foreign, reset, seeded
from qlazy.models.thread_copies import ReplicaPerThread, copied
from qlazy.models.trial import BATCH, GROWTH, Trial, called, require_outputs


@final
class Net(AutogradModel):
    """A torch module seen as a function of one flat vector of its trainable parameters.

    Parameters come in ``named_parameters`` order and blocks carry their names. Parameters that do not
    require gradients stay at their values, as buffers do; floating ones follow the dtype of ``params``. The
    module is copied, so that later changes to it change nothing here. Threads may share a Net.

    Raises UnsupportedModelError for a module whose rows are not independent or not deterministic (dropout in
    training mode, batch normalisation on batch statistics). PennyLane's TorchLayer ignores weights that are put in the
    place of its own: each becomes a :class:`qlazy.CircuitLayer` with its weights (``qlazy.from_torch_layer``). What
    cannot be read off a module is tried at the first call with inputs of a new shape, in about sixteen forward passes,
    most of a row, and anew with a batch over four times as large as any before (:mod:`qlazy.models.trial`); not where
    it is made of torch's own row-wise parts alone.

    ``init`` says where training starts. With None each part is drawn anew by its own ``reset_parameters``, which is
    refused where the weights that the module came with are surely others: "own" starts from them, with every seed, and
    "reset" draws anew nevertheless. A function of a generator draws parameters (p,). In place of a module its class or
    another function without arguments that makes it, ``Net(MyModule)``, gives each seed the start that it draws.

    ``output`` picks the outputs (n, c) of a module that returns several: the index of a tuple, the name in a dict or of
    an attribute, "logits", or a function of what the module returns.

    The Jacobian is that of plain autograd, row by row: layer by layer for chains of torch's own layers, convolutions
    and norms among them, and for what is large; by ``torch.func`` otherwise. A module that ``torch.func`` cannot map
    over samples (recurrent layers) is differentiated row by row, with a SlowBackendWarning.

    Raises TypeError for what is no module and makes none, ValueError for an ``init`` or ``output`` of another kind.
    """

    def __init__(
        self,
        module: nn.Module | Callable[[], nn.Module],
        *,
        init: Literal["own", "reset"] | Callable[[torch.Generator], Tensor] | None = None,
        output: int | str | Callable[[Any], Tensor] | None = None,
    ) -> None:
        self._make = None if isinstance(module, nn.Module) else module
        module = _made_by(module)
        _refuse_unsupported(module)
        known = init is None or callable(init) or (isinstance(init, str) and init in ("own", "reset"))
        require(known, "init", "be 'own', 'reset' or a function of a generator", init, TypeError)
        must = "be an index, a name or a function of what the module returns"
        is_key = isinstance(output, int | str) and not isinstance(output, bool)
        require(output is None or is_key or callable(output), "output", must, output, TypeError)
        self.module = _with_dense_gradients(_converted(module))
        if output is not None:
            self.module.register_forward_hook(Picked(output))
        self._output = output
        self._replicas = ReplicaPerThread(self.module)
        self._features = _features(self.module)
        self._has_patches = any(
            isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d) for part in self.module.modules()
        )
        self._init = init
        self._foreign: str | None = None  # a parameter that is not as torch draws it; none for ""
        self._tried: dict[Key, int] = {}  # how many rows that differ were seen
        self._largest: dict[Key, int] = {}  # batches that were held to their rows, where rows may mix
        self._outputs: dict[Key, int] = {}  # of rows of each kind
        self._derivatives = Derivatives("module")
        trainable = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        require(trainable, "module", "have a trainable parameter", "without one", UnsupportedModelError)
        empty = [name for name, p in self.module.named_parameters() if p.is_meta]
        require(not empty, "module", "hold values", f"on the meta device in {', '.join(empty)}")
        dtypes = {p.dtype for p in trainable.values()}
        require(
            len(dtypes) == 1 and next(iter(dtypes)).is_floating_point, "module",
            "have real parameters of one dtype", sorted(map(str, dtypes)), UnsupportedModelError,
        )  # fmt: skip
        self._shapes = {name: p.shape for name, p in trainable.items()}
        self._blocks = blocks_of({name: p.numel() for name, p in trainable.items()})
        require(
            self.num_params,
            "module",
            "have a trainable parameter",
            "one of empty ones",
            UnsupportedModelError,
        )

    @property
    def num_params(self) -> int:
        return sum(shape.numel() for shape in self._shapes.values())

    @property
    def blocks(self) -> Mapping[str, slice]:
        return self._blocks

    @property
    def params(self) -> Tensor:
        """The values the module came with, as a flat vector (p,) in its own dtype."""
        return self._flatten(self.module)

    def init(self, generator: torch.Generator | int) -> Tensor:
        """Draw parameters as ``init`` of the net says, in the module's own dtype.

        The random numbers come from ``generator``; the global generator is left as it was. Raises ValueError where
        parts would be drawn anew by default and the module has weights of its own.
        """
        generator = generator_or_seed(generator)
        if callable(self._init):
            drawn = self._init(generator)
            require_shape("init(generator)", drawn, (self.num_params,))
            return drawn
        if self._init == "own":
            return self.params
        if self._make is not None and self._init is None:
            make = self._make
            return self._flatten(seeded(lambda: _converted(make()), generator))
        if self._init is None:
            self._require_no_start_of_its_own()
        return self._flatten(seeded(lambda: reset(copied(self.module)), generator))

    def _require_no_start_of_its_own(self) -> None:
        if self._foreign is None:
            self._foreign = foreign(self.module, copied) or ""
        name = self._foreign
        must = (
            'say where it starts: Net(module, init="own") from its weights, with every seed; init="reset" as torch'
            " draws its layers; Net(MyModule), with what makes it, as that draws them"
        )
        require(not name, "module", must, f"one whose `{name}` is not as `reset_parameters` draws it")

    def keyed_by(self, x: Tensor | None) -> object:
        """What decides the results: see :mod:`qlazy.base.identity`.

        The module with all it holds, but for the values of its trainable parameters, in whose place others are put.
        """
        return keyed(self.module), self._init, self._make, self._output

    def check(self, params: Tensor, x: Tensor) -> None:
        super().check(params, x)
        if self._features is not None:
            must = f"have shape (n, ..., {self._features}), as the net's first layer takes"
            require(x.ndim >= 2 and x.shape[-1] == self._features, "x", must, tuple(x.shape))
        kind = kind_of(params, x)
        if self._tried.get(kind, 0) < min(2, len(x)):
            self._try(params, x)
        elif len(x) > GROWTH * self._largest.get(kind, math.inf):
            self._hold_batch(params, x)

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        return called(self._replicas.module, self.state(params), x)

    def gradient_flops(self, params: Tensor, x: Tensor) -> int | None:
        """Of the multiply-adds of linear and convolutional layers; None for nets with parameters elsewhere."""
        self.check(params, x)
        row = gradient_flops(self.module, self.state(params.detach().requires_grad_()), x[:1])
        return None if row is None else row * len(x)

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        self.check(params, x)
        chain = self._chain(params, x)
        if chain is not None or self._is_large(params, x):
            return layerwise_jacobian(self, params, x, chain)
        return self._derivatives.jacobian(self, params, x)

    def _chain(self, params: Tensor, x: Tensor) -> list[Part] | None:
        """The parts of a net that is a chain of torch's own layers, where nothing is recorded or transformed."""
        is_plain = is_applicable(params, x) and x.dtype == params.dtype
        return chain_of(self.module, x) if is_plain else None

    def _is_dense(self, params: Tensor, x: Tensor) -> bool:
        """Whether it is a chain of linear layers and pointwise functions, which plain autograd differentiates twice."""
        parts = self._chain(params, x)
        return parts is not None and is_dense(parts)

    def _is_large(self, params: Tensor, x: Tensor) -> bool:
        """Whether the Jacobian is sooner had from the layers, whose reading takes a while, than by ``torch.func``."""
        entries = len(x) * self.num_params
        if not is_applicable(params, x) or not choice.may_come_from_layers(entries):
            return False
        return choice.comes_from_layers(entries, self._num_outputs(params, x), self._has_patches)

    def hvp(self, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
        self.check_second(params, x, cotangent, tangent)
        if self._is_dense(params, x) and is_applicable(cotangent, tangent):
            return hessian_product(self, params, x, cotangent, tangent)
        return self._derivatives.hvp(self, params, x, cotangent, tangent)

    def second_derivative(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        self.check_second(params, x, None, tangent)
        if self._is_dense(params, x) and is_applicable(tangent):
            return second_derivative(self, params, x, tangent)
        return self._derivatives.second_derivative(self, params, x, tangent)

    def gram(self, params: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The tangent kernel (n, c, m, c), layer by layer: see :mod:`qlazy.models.layerwise`.

        Of small nets from the Jacobian, which is there before the layers are read. Under ``torch.func`` transforms, and
        where autograd records the kernel itself, from the Jacobian too.
        """
        given = (x,) if y is None else (x, y)
        for inputs in given:
            self.check(params, inputs)
        if is_applicable(params, *given):
            chain = self._chain(params, x) if y is None or self._chain(params, y) is not None else None
            if not self._is_small(chain, params, *given):
                return layerwise_gram(self, params, x, y, chain)
        return super().gram(params, x, y)

    def _is_small(self, chain: list[Part] | None, params: Tensor, *given: Tensor) -> bool:
        """Whether the kernel is sooner had from the Jacobian than from the layers."""
        costs, samples = choice.costs_of(chain), [len(given[0]), len(given[-1])]
        entries = sum(samples[: len(given)]) * self.num_params
        if not choice.may_come_from_jacobian(entries, self.num_params, costs):
            return False
        if chain is None and not self._derivatives.maps(self, params, given[0]):
            return False
        outputs, pairs = self._num_outputs(params, given[0]), samples[0] * samples[1]
        return choice.comes_from_jacobian(entries, pairs, outputs, self.num_params, costs)

    def _num_outputs(self, params: Tensor, x: Tensor) -> int:
        """Of rows like those of x (n, ...)."""
        kind = kind_of(params, x)
        if kind not in self._outputs:
            with torch.no_grad():
                self._outputs[kind] = self(params, x[:1]).shape[1]
        return self._outputs[kind]

    def is_mapped(self, params: Tensor, x: Tensor) -> bool:
        """Whether ``torch.func`` maps the module's gradients over samples; otherwise they are taken row by row."""
        return self._derivatives.is_mapped(self, params, x)

    def state(self, params: Tensor) -> dict[str, Tensor]:
        """Parameters, frozen parameters and buffers by name, for ``torch.func.functional_call``."""
        fixed = {name: p for name, p in self.module.named_parameters() if name not in self._shapes}
        state = {name: _follow(t, params) for name, t in (fixed | dict(self.module.named_buffers())).items()}
        for name, block in self._blocks.items():
            state[name] = params[block].reshape(self._shapes[name])
        return state

    def _try(self, params: Tensor, x: Tensor) -> None:
        at, rows = plain_params(params), plain_rows(x)
        kind = kind_of(params, x)
        with in_plain_autograd():
            if at.dtype == rows.dtype and maps_each_sample(self.module, rows):
                require_outputs(
                    called(self._replicas.module, self.state(at), rows[:1]), rows[:1], self.module
                )
                self._tried[kind] = 2
                return
            trial = Trial(self, self._replicas.module, at, rows)
            if trial.differing > self._tried.get(kind, 0):
                trial.run()
                self._tried[kind] = trial.differing
            self._largest[kind] = max(BATCH, len(rows))

    def _hold_batch(self, params: Tensor, x: Tensor) -> None:
        rows = plain_rows(x)
        with in_plain_autograd():
            Trial(self, self._replicas.module, plain_params(params), rows).hold_batch()
        self._largest[kind_of(params, x)] = len(rows)

    def _flatten(self, module: nn.Module) -> Tensor:
        tensors = dict(module.named_parameters())
        return torch.cat([tensors[name].detach().reshape(-1) for name in self._shapes])

    def __repr__(self) -> str:
        return f"Net({type(self.module).__name__}, num_params={self.num_params})"


def _features(module: nn.Module) -> int | None:
    """How many features each sample has, where the module says so by beginning with a linear layer."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[0]
    return module.in_features if type(module) is nn.Linear else None


COPIES = 8
"""Of the parameters of a net, about so many are held in training: initial, present, recorded, gradients."""


def mlp(
    widths: Sequence[int],
    activation: Callable[[], nn.Module] = nn.Tanh,
    *,
    bias: bool = True,
    dtype: torch.dtype = torch.float64,
) -> Net:
    """A fully connected net with the given widths, inputs and outputs included: ``mlp([4, 16, 16, 1])``.

    torch's own initialisation, uniform in +-1/sqrt(fan in), and an activation between the layers only.

    Raises ValueError for widths that are not two or more positive whole numbers, and for a dtype that is not real;
    TypeError for what makes no activation.
    """
    require(
        isinstance(widths, Sequence) and len(widths) >= 2 and all(isinstance(w, Integral) and w >= 1 for w in widths),
        "widths", "be two or more positive integers", widths,
    )  # fmt: skip
    widths = [int(width) for width in widths]
    require_real_dtype("dtype", dtype)
    require_flag("bias", bias)
    must = "be a module's class, such as torch.nn.Tanh, or another function that makes modules"
    require(
        callable(activation) and not isinstance(activation, nn.Module),
        "activation",
        must,
        activation,
        TypeError,
    )
    weights = sum((fan_in + bias) * fan_out for fan_in, fan_out in pairwise(widths))
    require_bytes(
        "widths", COPIES * weights, torch.empty(0, dtype=dtype), f"for a net of {weights} parameters"
    )
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out, bias=bias, dtype=dtype), _made(activation, must)]
    return Net(nn.Sequential(*layers[:-1]), init="reset")


def _made(activation: Callable[[], nn.Module], must: str) -> nn.Module:
    try:
        made = activation()
    except TypeError:  # such as torch.relu, a function of a tensor
        made = None
    require(isinstance(made, nn.Module), "activation", must, activation, TypeError)
    assert made is not None
    return made


def _follow(tensor: Tensor, params: Tensor) -> Tensor:
    dtype = tensor.dtype
    if tensor.is_floating_point():
        dtype = params.dtype
    elif tensor.is_complex():
        dtype = params.dtype.to_complex()
    return tensor.to(device=params.device, dtype=dtype)


def _with_dense_gradients(module: nn.Module) -> nn.Module:
    """The module with gradients of tables that are dense: the same numbers, in a form that goes through ``reshape``."""
    for part in module.modules():
        if isinstance(part, nn.Embedding | nn.EmbeddingBag):
            part.sparse = False
    return module


def _converted(module: nn.Module) -> nn.Module:
    """A copy in which parts that ignore substituted weights, such as PennyLane's TorchLayer, are others that do not."""
    return copied(module, also=conversions_of(module))


def _made_by(module: nn.Module | Callable[[], nn.Module]) -> nn.Module:
    if isinstance(module, nn.Module) or not callable(module):
        return module
    must = "be a torch.nn.Module or a function without arguments that makes one"
    try:
        made = module()
    except TypeError as error:
        raise TypeError(f"`module` must {must}, but is {module!r}, which raises: {error}") from error
    require(isinstance(made, nn.Module), "module", must, f"one that makes a {type(made).__name__}", TypeError)
    return made


def _refuse_unsupported(module: nn.Module) -> None:
    require(isinstance(module, nn.Module), "module", "be a torch.nn.Module", type(module).__name__, TypeError)
    parts = set(module.modules())
    for name, part in module.named_modules():
        where = f"{name or 'the module'} ({type(part).__name__})"
        if any(parts & _closed_over(value) for value in vars(part).values()):
            raise UnsupportedModelError(
                "`module` must be one that can be copied whole, but "
                f"{where} keeps a function that closes over a part of it (such as `lambda x: self.layer(x)`): "
                "a copy would use the old part. Make it a method"
            )
        if isinstance(part, torch.jit.ScriptModule | nn.DataParallel | nn.parallel.DistributedDataParallel):
            raise UnsupportedModelError(
                f"`module` must take other weights for a call, but {where} does not: use the module it was made from"
            )
        if isinstance(part, nn.modules.dropout._DropoutNd) and part.training and part.p > 0:
            raise UnsupportedModelError(
                f"`module` must be deterministic, but {where} is in training mode: call .eval() first"
            )
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and (part.training or part.running_mean is None):
            raise UnsupportedModelError(
                f"`module` must map each sample on its own, but {where} uses batch statistics: call .eval() "
                "on a module with running statistics, or use LayerNorm or GroupNorm"
            )
        if any(p.requires_grad and p._backward_hooks for p in part.parameters(recurse=False)):
            raise UnsupportedModelError(
                "`module` must be without hooks on the gradients of its parameters, but "
                f"{where} is with one: freeze the parameter, or multiply by the mask in forward"
            )
        if any(isinstance(p, nn.parameter.UninitializedParameter) for p in part.parameters(recurse=False)):
            raise UnsupportedModelError(
                f"`module` must have its shapes, but {where} is lazy: run it once first"
            )


def _closed_over(value: object) -> set[nn.Module]:
    """The modules that a function, or one within a list or a dict such as that of hooks, closes over."""
    if isinstance(value, Mapping):
        value = list(value.values())
    functions = value if isinstance(value, list | tuple) else [value]
    cells = [cell for f in functions if isinstance(f, FunctionType) for cell in f.__closure__ or ()]
    contents = [cell.cell_contents for cell in cells if cell != CellType()]
    return {content for content in contents if isinstance(content, nn.Module)}
