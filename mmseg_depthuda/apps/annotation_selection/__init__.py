# Licensed under the Apache License 2.0, see LICENSE.
"""Which images to label: features of a pool of images, students trained on the chosen ones, and the
choice step by step."""
