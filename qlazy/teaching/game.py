"""The student's loss, and its gradient with the teacher that follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from qlazy.errors import ZeroJacobian, refuse
from qlazy.losses import CrossEntropy
from qlazy.model import Model
from qlazy.subset.labels import label_codes
from qlazy.teaching.teachers import Teacher

_LOSS = CrossEntropy()


class Move(NamedTuple):
    """The loss in its parts at student S and teacher T, and its gradients (p,) with respect to each.

    d/dS of F(S, T(S)) is ``direct`` + ``interaction``, with interaction = dT/dS times the gradient at the teacher.
    """

    supervised: Tensor
    lesson: Tensor
    weight: Tensor
    direct: Tensor
    interaction: Tensor

    @property
    def gradient(self) -> Tensor:
        return self.direct + self.interaction


@dataclass(frozen=True, eq=False)
class Game:
    """F(S, T) = cross-entropy(h(S, x), y) + strength * mean w KL(q || softmax h(S, u)), with q and w from h(T, u).

    Labelled examples x (n, ...), y (n, c), unlabelled inputs u (m, ...). A single column of outputs f stands for
    the logits (0, f), so that the cross-entropy is the logistic loss.
    """

    model: Model
    x: Tensor
    y: Tensor
    unlabelled: Tensor
    teacher: Teacher

    @cached_property
    def _on_labelled(self) -> Callable[[Tensor], Tensor]:
        return self.model.on(self.x)

    @cached_property
    def _on_unlabelled(self) -> Callable[[Tensor], Tensor]:
        return self.model.on(self.unlabelled)

    @cached_property
    def _codes(self) -> Tensor:
        return label_codes(self.y)

    def follow(self, old: Tensor, student: Tensor) -> Tensor:
        """Where the teacher goes: alpha old + (1 - alpha) student."""
        return self.teacher.alpha * old + (1 - self.teacher.alpha) * student

    def move(self, student: Tensor, teacher: Tensor, lessons: bool = True) -> Move:
        """Loss and gradients at student S and teacher T (p,); only vector-Jacobian products of the model.

        Without ``lessons`` the labelled examples alone count. Raises ZeroJacobian for a model without gradients.
        """
        with torch.enable_grad():
            leader = student.detach().requires_grad_()
            supervised = _LOSS(logits(self._on_labelled(leader)), self._codes)
            if not supervised.requires_grad:
                refuse("model", "pass gradients on to its params", "cut off from them", ZeroJacobian)
            if not lessons or self.teacher.strength == 0:
                return self._alone(leader, supervised)
            follower = teacher.detach().requires_grad_(self.teacher.share != 0)
            lesson = self.teacher.lesson(
                logits(self._on_unlabelled(follower)), logits(self._on_unlabelled(leader))
            )
            loss = supervised + self.teacher.strength * lesson.value
            direct, interaction = self._gradients(loss, leader, follower)
        return Move(
            supervised.detach(), lesson.value.detach(), lesson.weight.detach().mean(), direct, interaction
        )

    def _alone(self, leader: Tensor, supervised: Tensor) -> Move:
        (direct,) = torch.autograd.grad(supervised, leader, materialize_grads=True)
        nothing = torch.zeros_like(supervised.detach())
        return Move(supervised.detach(), nothing, nothing, direct, torch.zeros_like(direct))

    def _gradients(self, loss: Tensor, leader: Tensor, follower: Tensor) -> tuple[Tensor, Tensor]:
        if not follower.requires_grad:
            (direct,) = torch.autograd.grad(loss, leader, materialize_grads=True)
            return direct, torch.zeros_like(direct)
        direct, through = torch.autograd.grad(loss, (leader, follower), materialize_grads=True)
        return direct, self.teacher.share * through


def logits(outputs: Tensor) -> Tensor:
    """Outputs (n, c) as logits of the classes: of a single column f the pair (0, f)."""
    return torch.cat([torch.zeros_like(outputs), outputs], 1) if outputs.shape[1] == 1 else outputs
