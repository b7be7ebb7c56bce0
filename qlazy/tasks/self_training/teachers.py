"""What a student is told about inputs without labels, and how much of it the student answers for.

A teacher's parameters follow the student's, T = alpha T_old + (1 - alpha) S, or stay where they are, alpha = 1. From
its outputs come a pseudo-label and a weight for every input; whether these are differentiated as functions of S is
what tells the teachers apart.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from qlazy.base.errors import require


class Lesson(NamedTuple):
    """Per input: the divergence KL(pseudo-label || student) and the weight it is given, both (m,)."""

    divergence: Tensor
    weight: Tensor

    @property
    def value(self) -> Tensor:
        """The mean over the inputs of weight times divergence."""
        return (self.weight * self.divergence).mean()


class Teacher(abc.ABC):
    """A follower of the student, T = alpha T_old + (1 - alpha) S, that gives lessons on inputs without labels."""

    @property
    @abc.abstractmethod
    def alpha(self) -> float:
        """How much of the old teacher is kept at a step, in [0, 1]; with 1 the teacher stays."""

    @property
    @abc.abstractmethod
    def strength(self) -> float:
        """The factor lambda of the lessons in the loss; with 0 none are given."""

    @property
    def share(self) -> float:
        """dT / dS as the student's gradient sees it: 1 - alpha, or 0 where it stops at the teacher."""
        return 0.0

    @abc.abstractmethod
    def lesson(self, teacher: Tensor, student: Tensor) -> Lesson:
        """The lesson from logits (m, k) of both."""


@final
@dataclass(frozen=True)
class NoTeacher(Teacher):
    """The labelled samples alone; what follows the student is its exponential average, and says nothing."""

    alpha: float = 0.5

    def __post_init__(self) -> None:
        _check(self.alpha, 0.0)

    @property
    def strength(self) -> float:
        return 0.0

    def lesson(self, teacher: Tensor, student: Tensor) -> Lesson:
        nothing = torch.zeros_like(student[:, 0])
        return Lesson(nothing, nothing)


@final
@dataclass(frozen=True)
class PseudoLabelTeacher(Teacher):
    """Plain self-training: the label is the teacher's most probable class, the weight 1, and neither is differentiated.

    By default the teacher is the student as it stands (Lee 2013). With alpha = 1 it is a model that was trained before
    and stays as it is, self-training in rounds: see ``teacher_params`` of
    :func:`~qlazy.tasks.self_training.self_train`.
    """

    alpha: float = 0.0
    strength: float = 1.0

    def __post_init__(self) -> None:
        _check(self.alpha, self.strength)

    def lesson(self, teacher: Tensor, student: Tensor) -> Lesson:
        chosen = teacher.argmax(1, keepdim=True)
        divergence = -torch.log_softmax(student, 1).gather(1, chosen)[:, 0]
        return Lesson(divergence, torch.ones_like(divergence))


@dataclass(frozen=True)
class SoftTeacher(Teacher):
    """Labels q = softmax(f_T / temperature), weights 1 - entropy(q) / log k."""

    alpha: float = 0.5
    temperature: float = 0.5
    strength: float = 1.0

    def __post_init__(self) -> None:
        _check(self.alpha, self.strength, self.temperature)

    def lesson(self, teacher: Tensor, student: Tensor) -> Lesson:
        log_label = torch.log_softmax(teacher / self.temperature, 1)
        label = log_label.exp()
        divergence = (label * (log_label - torch.log_softmax(student, 1))).sum(1)
        return Lesson(divergence, 1 + (label * log_label).sum(1) / math.log(teacher.shape[1]))


@final
@dataclass(frozen=True)
class StopGradientTeacher(SoftTeacher):
    """The labels and weights of :class:`DifferentiableTeacher`, taken for constants in the student's gradient."""


@final
@dataclass(frozen=True)
class DifferentiableTeacher(SoftTeacher):
    """Labels q = softmax(f_T / temperature), weights 1 - entropy(q) / log k, both functions of S through T.

    The student leads and knows how its teacher follows: to its own gradient it adds (1 - alpha) times the gradient
    at the teacher. Zuo et al. 2021 (DRIFT, arXiv 2109.07049).
    """

    @property
    def share(self) -> float:
        return 1.0 - self.alpha


def _check(alpha: float, strength: float, temperature: float = 1.0) -> None:
    require(0 <= alpha <= 1, "alpha", "be from 0 to 1", alpha)
    require(math.isfinite(strength) and strength >= 0, "strength", "be finite and not negative", strength)
    require(math.isfinite(temperature) and temperature > 0, "temperature", "be positive", temperature)
