# Licensed under the Apache License 2.0, see LICENSE.
"""Depth-guided unsupervised domain adaptation of semantic segmentation with MMSegmentation 1.x.

Importing the package registers all of its datasets, transforms, models, hooks and optimizers, so
that a config needs only
``custom_imports = dict(imports=['mmseg_depthuda'], allow_failed_imports=False)``.
"""

from .stack import check_versions, installed_versions
from .version import __version__

check_versions(installed_versions())

from .fileio.installed_weights import register_package_scheme  # noqa: E402
from .fileio.safe_loading import load_without_code  # noqa: E402

load_without_code()
register_package_scheme()

from . import checkpoint_types, datasets, engine, evaluation, models, visualization  # noqa: E402, F401

__all__ = ['__version__']
