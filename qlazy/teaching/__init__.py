"""Self-training with a teacher that follows its student, for any model: see :func:`self_train`, and many at once."""

from qlazy.teaching.lanes import self_train_lanes
from qlazy.teaching.result import SelfTrained
from qlazy.teaching.teachers import DifferentiableTeacher, HardTeacher, NoTeacher, StoppedTeacher, Teacher
from qlazy.teaching.training import self_train

__all__ = [
    "DifferentiableTeacher",
    "HardTeacher",
    "NoTeacher",
    "SelfTrained",
    "StoppedTeacher",
    "Teacher",
    "self_train",
    "self_train_lanes",
]
