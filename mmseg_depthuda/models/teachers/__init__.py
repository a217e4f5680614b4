# Licensed under the Apache License 2.0, see LICENSE.
from .teacher_ema import TeacherEMA

__all__ = ['TeacherEMA']
