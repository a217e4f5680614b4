# Licensed under the Apache License 2.0, see LICENSE.
"""Pseudo depth for images without depth, and pictures of depth files."""
