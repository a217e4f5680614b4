# Licensed under the Apache License 2.0, see LICENSE.
"""Losses of depth."""

from .berhu_loss import BerHuLoss, berhu_loss

__all__ = ['BerHuLoss', 'berhu_loss']
