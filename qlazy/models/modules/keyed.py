"""A module as it is told from others: without what differs from one making of it to the next and decides nothing."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrize

from qlazy.models.thread_copies import copied


def keyed(module: nn.Module) -> nn.Module:
    """A copy whose trainable parameters are zero, for others are put in their place, and whose hooks are counted anew.

    torch numbers hooks by how many there were in the whole process, so that a cell run twice has other numbers; and the
    class that it makes for a parametrised part holds the part that it was made for, weights and all: in the copy it is
    the class that this stands on.
    """
    copy = copied(module)
    for parameter in copy.parameters():
        if parameter.requires_grad:
            parameter.data.zero_()
    for part in copy.modules():
        if parametrize.is_parametrized(part):
            part.__class__ = type(part).__bases__[0]
        hooks = {
            name: held for name, held in vars(part).items() if "hooks" in name and isinstance(held, dict)
        }
        order = {number: k for k, number in enumerate(sorted({n for held in hooks.values() for n in held}))}
        for name, held in hooks.items():
            vars(part)[name] = {order[number]: hook for number, hook in held.items()}
    return copy
