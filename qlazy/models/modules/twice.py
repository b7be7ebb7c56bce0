"""Functions of torch whose gradients torch does not differentiate, written as functions whose gradients it does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from qlazy.base.torch_private import WEIGHT_NORM


class TwiceDifferentiable(TorchFunctionMode):
    """Within it attention, weight norms, bags of embeddings and hard sigmoids have second derivatives, more slowly.

    The values are the same up to rounding. Calls that have another form, such as bags with offsets, stay as they are.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _FORMS:
            found = _FORMS[func](*args, **kwargs)
            if found is not None:
                return found
        return func(*args, **kwargs)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor | None:  # fmt: skip
    """softmax(Q K^T / sqrt(d)) V, by its products."""
    if dropout_p or enable_gqa:
        return None
    size = query.shape[-1] ** -0.5 if scale is None else scale
    scores = size * query @ key.transpose(-2, -1)
    if is_causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    if attn_mask is not None:
        is_bool = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -torch.inf) if is_bool else scores + attn_mask
    return torch.softmax(scores, -1) @ value


def _multi_head(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
    """Torch's own, which forms products where its weights are asked for, and calls fused attention where not."""
    given = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs).arguments
    wanted = given.get("need_weights", True)
    outputs, weights = F.multi_head_attention_forward(**given | {"need_weights": True})
    return outputs, weights if wanted else None


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """g v / |v|, the norm over all dimensions but ``dim``, or over all for -1."""
    axes = [axis for axis in range(v.ndim) if dim == -1 or axis != dim]
    return v * (g / v.square().sum(axes, keepdim=True).sqrt())


def _embedding_bag(*args: Any, **kwargs: Any) -> Tensor | None:
    """The sum, mean or maximum of the embeddings of each row of indices (n, k)."""
    given = inspect.signature(F.embedding_bag).bind(*args, **kwargs).arguments
    indices, table, mode = given["input"], given["weight"], given.get("mode", "mean")
    if indices.ndim != 2 or any(given.get(name) is not None for name in ("max_norm", "padding_idx")):
        return None
    embedded, weights = F.embedding(indices, table), given.get("per_sample_weights")
    if weights is not None:
        embedded = embedded * weights.unsqueeze(-1)
    forms: dict[str, Callable[[], Tensor]] = {
        "sum": lambda: embedded.sum(1), "mean": lambda: embedded.mean(1), "max": lambda: embedded.max(1).values
    }  # fmt: skip
    return forms[mode]()


def _hard_sigmoid(x: Tensor, inplace: bool = False) -> Tensor | None:
    return None if inplace else F.relu6(x + 3) / 6


_FORMS: dict[Any, Callable[..., Any]] = {
    F.multi_head_attention_forward: _multi_head,
    F.scaled_dot_product_attention: _attention,
    WEIGHT_NORM: _weight_norm,
    F.embedding_bag: _embedding_bag,
    F.hardsigmoid: _hard_sigmoid,
}
