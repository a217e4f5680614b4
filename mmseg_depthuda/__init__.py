# Licensed under the Apache License 2.0, see LICENSE.
"""Depth-guided unsupervised domain adaptation of semantic segmentation with MMSegmentation 1.x.

Importing the package registers all of its datasets, transforms, models, hooks and optimizers, so
that a config needs only
``custom_imports = dict(imports=['mmseg_depthuda'], allow_failed_imports=False)``.
"""

from .startup import is_command, quiet_imports
from .version import __version__


def register() -> None:
    """Check the installed libraries and register everything; done on import.

    A command of the package does it when it has read its options.

    Raises:
        ImportError: PyTorch or a library of OpenMMLab is missing, or of another version.
    """
    with quiet_imports():
        from .stack import check_versions, installed_versions

        check_versions(installed_versions())

        from .fileio.installed_weights import register_package_scheme
        from .fileio.package_configs import register_package_configs
        from .fileio.safe_loading import load_without_code

        load_without_code()
        register_package_scheme()
        register_package_configs()

        from . import (  # noqa: F401
            checkpoint_types,
            datasets,
            engine,
            evaluation,
            models,
            visualization,
        )


if not is_command():
    register()

__all__ = ['__version__']
