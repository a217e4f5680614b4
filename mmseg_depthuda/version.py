# Licensed under the Apache License 2.0, see LICENSE.
"""Version of the package, read by ``setup.py`` without importing anything else."""

__version__ = '0.1.0'
