# Licensed under the Apache License 2.0, see LICENSE.
"""The teacher of self-training: an average of the student."""

from .teacher_ema import TeacherEMA

__all__ = ['TeacherEMA']
