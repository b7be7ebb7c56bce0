"""Self-training with a teacher that follows its student, for any model: see :func:`self_train`, and many at once."""

from qlazy.tasks.self_training.lanes import self_train_batched
from qlazy.tasks.self_training.result import SelfTrained
from qlazy.tasks.self_training.teachers import (
    DifferentiableTeacher,
    NoTeacher,
    PseudoLabelTeacher,
    StopGradientTeacher,
    Teacher,
)
from qlazy.tasks.self_training.training import self_train

__all__ = [
    "DifferentiableTeacher",
    "NoTeacher",
    "PseudoLabelTeacher",
    "SelfTrained",
    "StopGradientTeacher",
    "Teacher",
    "self_train",
    "self_train_batched",
]
