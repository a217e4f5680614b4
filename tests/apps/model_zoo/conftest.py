# Licensed under the Apache License 2.0, see LICENSE.
from pathlib import Path

import pytest

from mmseg_depthuda.apps.model_zoo import read_experiments


@pytest.fixture(scope='package')
def experiments():
    """All experiments of the checkout by name."""
    return {one.name: one for one in read_experiments(Path(__file__).parents[3])}
