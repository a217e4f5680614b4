# Licensed under the Apache License 2.0, see LICENSE.
"""Finished runs side by side: tables, curves, pictures, and checkpoints scored after training."""
