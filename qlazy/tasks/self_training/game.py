"""The student's loss, and its gradient with the teacher that follows: of one student, or of many side by side."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import torch
from torch import Tensor

from qlazy.base.errors import ZeroJacobianError, refuse
from qlazy.base.torch_private import vmap
from qlazy.data.labels import label_codes
from qlazy.models.model import Model
from qlazy.tasks.self_training.teachers import Teacher
from qlazy.training.losses import CrossEntropy

_LOSS = CrossEntropy()


class Move(NamedTuple):
    """The loss in its parts at student S and teacher T, and its gradients (p,) with respect to each.

    d/dS of F(S, T(S)) is ``direct`` + ``interaction``, with interaction = dT/dS times the gradient at the teacher.
    Of many students at once every field has one more axis, in front.
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
class Losses(abc.ABC):
    """F(S, T) = cross-entropy(h(S, x), y) + strength * mean w KL(q || softmax h(S, u)), with q and w from h(T, u).

    Labelled samples x (n, ...), y (n, c), unlabelled inputs u (m, ...). A single column of outputs f stands for
    the logits (0, f), so that the cross-entropy is the logistic loss.
    """

    model: Model
    x: Tensor
    y: Tensor
    unlabeled: Tensor
    teacher: Teacher

    @abc.abstractmethod
    def supervised(self, student: Tensor) -> Tensor:
        """The cross-entropy on the labelled samples."""

    @abc.abstractmethod
    def lesson(self, teacher: Tensor, student: Tensor) -> tuple[Tensor, Tensor]:
        """The mean weighted divergence on the inputs without labels, and the mean weight."""

    @final
    def follow(self, old: Tensor, student: Tensor) -> Tensor:
        """Where the teacher goes: alpha old + (1 - alpha) student."""
        return self.teacher.alpha * old + (1 - self.teacher.alpha) * student

    @final
    def move(self, student: Tensor, teacher: Tensor, lessons: bool = True) -> Move:
        """Loss and gradients at student S and teacher T; only vector-Jacobian products of the model.

        Without ``lessons`` the labelled samples alone count. Raises ZeroJacobianError for a model without gradients.
        """
        with torch.enable_grad():
            leader = student.detach().requires_grad_()
            supervised = self.supervised(leader)
            if not supervised.requires_grad:
                refuse("model", "pass gradients on to its params", "cut off from them", ZeroJacobianError)
            if not lessons or self.teacher.strength == 0:
                return _alone(leader, supervised)
            follower = teacher.detach().requires_grad_(self.teacher.share != 0)
            lesson, weight = self.lesson(follower, leader)
            loss = supervised + self.teacher.strength * lesson
            direct, interaction = self._gradients(loss, leader, follower)
        return Move(supervised.detach(), lesson.detach(), weight.detach(), direct, interaction)

    def _gradients(self, loss: Tensor, leader: Tensor, follower: Tensor) -> tuple[Tensor, Tensor]:
        # The loss of a student depends on no other student: the gradient of the sum is that of each.
        total = loss.sum()
        if not follower.requires_grad:
            (direct,) = torch.autograd.grad(total, leader, materialize_grads=True)
            return direct, torch.zeros_like(direct)
        direct, through = torch.autograd.grad(total, (leader, follower), materialize_grads=True)
        return direct, self.teacher.share * through


def _alone(leader: Tensor, supervised: Tensor) -> Move:
    (direct,) = torch.autograd.grad(supervised.sum(), leader, materialize_grads=True)
    nothing = torch.zeros_like(supervised.detach())
    return Move(supervised.detach(), nothing, nothing, direct, torch.zeros_like(direct))


@final
@dataclass(frozen=True, eq=False)
class Game(Losses):
    """One student and its teacher, parameters (p,) each."""

    @cached_property
    def _on_labeled(self) -> Callable[[Tensor], Tensor]:
        return self.model.on(self.x)

    @cached_property
    def _on_unlabeled(self) -> Callable[[Tensor], Tensor]:
        return self.model.on(self.unlabeled)

    @cached_property
    def _codes(self) -> Tensor:
        return label_codes(self.y)

    def supervised(self, student: Tensor) -> Tensor:
        return _LOSS(logits(self._on_labeled(student)), self._codes)

    def lesson(self, teacher: Tensor, student: Tensor) -> tuple[Tensor, Tensor]:
        return _taught(self.teacher, self._on_unlabeled(teacher), self._on_unlabeled(student))


@final
@dataclass(frozen=True, eq=False)
class Lanes(Losses):
    """Many students of one model side by side, each with its own teacher, samples and inputs.

    Every tensor has an axis of lanes in front, parameters (l, p) among them; a pass of the model under
    ``torch.func.vmap`` serves them all.
    """

    @cached_property
    def _codes(self) -> Tensor:
        return vmap(label_codes)(self.y)

    def supervised(self, student: Tensor) -> Tensor:
        def one(params: Tensor, x: Tensor, codes: Tensor) -> Tensor:
            return _LOSS.value(logits(self.model(params, x)), codes)

        return vmap(one)(student, self.x, self._codes)

    def lesson(self, teacher: Tensor, student: Tensor) -> tuple[Tensor, Tensor]:
        def one(follower: Tensor, leader: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
            return _taught(self.teacher, self.model(follower, inputs), self.model(leader, inputs))

        return vmap(one)(teacher, student, self.unlabeled)


def _taught(teacher: Teacher, told: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
    lesson = teacher.lesson(logits(told), logits(said))
    return lesson.value, lesson.weight.mean()


def logits(outputs: Tensor) -> Tensor:
    """Outputs (n, c) as logits of the classes: of a single column f the pair (0, f)."""
    return torch.cat([torch.zeros_like(outputs), outputs], 1) if outputs.shape[1] == 1 else outputs
