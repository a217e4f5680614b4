# Licensed under the Apache License 2.0, see LICENSE.
"""A package, because the wheel of mmsegmentation 1.2.2 installs its own one of this name.

A package hides a folder that is none, wherever on the path it comes; among packages the first wins.
"""
