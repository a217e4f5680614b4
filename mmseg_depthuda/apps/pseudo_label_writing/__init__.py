# Licensed under the Apache License 2.0, see LICENSE.
"""Pseudo-labels as files: predicted once, refined by a spatial prior, to be trained on later."""
