"""How the parameters of each kind of module enter its outputs. A new kind is a new small class in ``RULES``."""

from __future__ import annotations

import abc
import math
from collections.abc import Collection
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qlazy.models.layerwise.factors import Explicit, Outer, ReadFactor
from qlazy.models.layerwise.inputs import Inputs, Tokens, Vectors


class Rule(abc.ABC):
    """One module's part in the kernel.

    ``parameters`` are the names it answers for, in the order of its gradients. Tensors it is given have
    rows first, r of them: samples, or samples and positions folded together.
    """

    parameters: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def admits(self, x: Tensor) -> bool:
        """Whether ``x`` is a batch of inputs this rule can read."""
        return x.is_floating_point() and x.ndim >= 2 and x.numel() > 0

    @abc.abstractmethod
    def read(self, x: Tensor) -> Tensor:
        """What the parameters see of the inputs (r, ...), as (r, t, ...)."""

    @abc.abstractmethod
    def positions(self, outputs: Tensor) -> Tensor:
        """Something in the form of the module's outputs (r, ...), as (r, t, out)."""

    @abc.abstractmethod
    def factor(self, seen: Tensor, cotangents: Tensor, names: Collection[str]) -> ReadFactor:
        """The gradients of the parameters ``names`` for seen (n, t, ...) and cotangents (n, c, t, out)."""


class LinearRule(Rule):
    """``Linear``: inputs times cotangents."""

    def read(self, x: Tensor) -> Tensor:
        return self.positions(x)

    def positions(self, outputs: Tensor) -> Tensor:
        return outputs.reshape(len(outputs), -1, outputs.shape[-1])

    def factor(self, seen: Tensor, cotangents: Tensor, names: Collection[str]) -> ReadFactor:
        return _weight_and_bias(Vectors(seen), cotangents, names)


class EmbeddingRule(LinearRule):
    """``Embedding``: a linear layer on one-hot vectors; the padding row has no gradient."""

    module: nn.Embedding
    parameters = ("weight",)

    def admits(self, x: Tensor) -> bool:
        module = self.module
        plain = module.max_norm is None and not module.scale_grad_by_freq and not module.sparse
        return plain and not x.is_floating_point() and x.ndim >= 1

    def read(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1).long()

    def factor(self, seen: Tensor, cotangents: Tensor, names: Collection[str]) -> ReadFactor:
        if self.module.padding_idx is not None:
            cotangents = cotangents * (seen != self.module.padding_idx)[:, None, :, None]
        tokens = Tokens(seen, self.module.num_embeddings, cotangents.dtype)
        return _weight_and_bias(tokens, cotangents, names)


class ConvolutionRule(Rule):
    """``Conv1d`` to ``Conv3d``: a linear layer on patches, one for each group of channels."""

    module: nn.Conv1d | nn.Conv2d | nn.Conv3d

    def admits(self, x: Tensor) -> bool:
        return super().admits(x) and x.ndim == 2 + len(self.module.kernel_size)

    def read(self, x: Tensor) -> Tensor:
        module, axes = self.module, range(2, x.ndim)
        mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
        patches = F.pad(x, self._padding(), mode)  # (n, channels, positions, kernel): views, written out once
        for axis, size, step, stride in zip(
            axes, module.kernel_size, module.dilation, module.stride, strict=True
        ):
            patches = patches.unfold(axis, step * (size - 1) + 1, stride)[..., ::step]
        kernel = [axis + len(axes) for axis in axes]
        patches = patches.permute(0, 1, *kernel, *axes)
        return patches.reshape(len(x), math.prod(patches.shape[1 : x.ndim]), -1).transpose(1, 2)

    def positions(self, outputs: Tensor) -> Tensor:
        return outputs.flatten(2).transpose(1, 2)

    def factor(self, seen: Tensor, cotangents: Tensor, names: Collection[str]) -> ReadFactor:
        if self.module.groups == 1:
            return _weight_and_bias(Vectors(seen), cotangents, names)
        return _explicit(cotangents, names, self._grouped(seen, cotangents))

    def _grouped(self, seen: Tensor, cotangents: Tensor) -> Tensor:
        # Channels are contiguous within a group, in patches as in outputs.
        groups = (self.module.groups, -1)
        weight = torch.einsum("ntgi,nctgo->ncgoi", seen.unflatten(2, groups), cotangents.unflatten(3, groups))
        return weight.flatten(2)

    def _padding(self) -> list[int]:
        """Before and after each dimension, the last dimension first, as ``pad`` wants it."""
        module, sides = self.module, []
        for axis in reversed(range(len(module.kernel_size))):
            if module.padding == "same":
                total = module.dilation[axis] * (module.kernel_size[axis] - 1)
                sides += [total // 2, total - total // 2]
            else:
                size = 0 if module.padding == "valid" else int(module.padding[axis])
                sides += [size, size]
        return sides


class ScaleRule(Rule):
    """A scale and a shift of each feature: ``read`` gives the features before both."""

    def factor(self, seen: Tensor, cotangents: Tensor, names: Collection[str]) -> ReadFactor:
        return _explicit(cotangents, names, torch.einsum("ntq,nctq->ncq", seen, cotangents))


class LayerNormRule(ScaleRule):
    """``LayerNorm``: features are the last dimensions, normalised over them."""

    module: nn.LayerNorm

    def admits(self, x: Tensor) -> bool:
        return super().admits(x) and x.ndim > len(self.module.normalized_shape)

    def read(self, x: Tensor) -> Tensor:
        shape = list(self.module.normalized_shape)
        return self.positions(F.layer_norm(x, shape, eps=self.module.eps))

    def positions(self, outputs: Tensor) -> Tensor:
        features = outputs.flatten(outputs.ndim - len(self.module.normalized_shape))
        return features.reshape(len(outputs), -1, features.shape[-1])


class ChannelRule(ScaleRule):
    """Features are the channels, the second dimension."""

    def positions(self, outputs: Tensor) -> Tensor:
        return outputs.reshape(*outputs.shape[:2], -1).transpose(1, 2)


class GroupNormRule(ChannelRule):
    """``GroupNorm``: channels, normalised within groups of them."""

    module: nn.GroupNorm

    def read(self, x: Tensor) -> Tensor:
        return self.positions(F.group_norm(x, self.module.num_groups, eps=self.module.eps))


class BatchNormRule(ChannelRule):
    """``BatchNorm`` in evaluation: channels, normalised by the running statistics."""

    module: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d

    def read(self, x: Tensor) -> Tensor:
        module = self.module
        assert module.running_mean is not None
        assert module.running_var is not None
        mean, variance = (
            module.running_mean.to(x),
            module.running_var.to(x),
        )  # as buffers follow the parameters
        return self.positions(F.batch_norm(x, mean, variance, eps=module.eps))


class PReLURule(ChannelRule):
    """``PReLU``: the slope of the negative part, of each channel or of all together."""

    module: nn.PReLU
    parameters = ("weight",)

    def read(self, x: Tensor) -> Tensor:
        return self.positions(x.clamp(max=0))

    def positions(self, outputs: Tensor) -> Tensor:
        if self.module.num_parameters == 1:
            return outputs.reshape(len(outputs), -1, 1)
        return super().positions(outputs)


RULES: dict[type[nn.Module], type[Rule]] = {
    nn.Linear: LinearRule,
    nn.Embedding: EmbeddingRule,
    nn.Conv1d: ConvolutionRule,
    nn.Conv2d: ConvolutionRule,
    nn.Conv3d: ConvolutionRule,
    nn.LayerNorm: LayerNormRule,
    nn.GroupNorm: GroupNormRule,
    nn.BatchNorm1d: BatchNormRule,
    nn.BatchNorm2d: BatchNormRule,
    nn.BatchNorm3d: BatchNormRule,
    nn.PReLU: PReLURule,
}
"""The rule of each type of module; subclasses that keep its ``forward`` share it."""


def rule_for(module: nn.Module) -> Rule | None:
    """The rule for a module, or None where its parameters are left to ``torch.func``."""
    for kind, rule in RULES.items():
        if isinstance(module, kind) and type(module).forward is kind.forward:
            return rule(module)
    return None


def _weight_and_bias(inputs: Inputs, cotangents: Tensor, names: Collection[str]) -> ReadFactor:
    if "weight" in names:
        return Outer(inputs, cotangents, "bias" in names)
    return Explicit(cotangents.sum(2))


def _explicit(cotangents: Tensor, names: Collection[str], weight: Tensor) -> Explicit:
    gradients = {"weight": weight, "bias": cotangents.sum(2)}
    return Explicit(torch.cat([gradients[name] for name in names], 2))
