# Licensed under the Apache License 2.0, see LICENSE.
import pytest

from mmseg_depthuda.apps.street_world.generation import WorldConfig, generate


@pytest.fixture(scope='session')
def street_world(tmp_path_factory):
    """The world that the pages render, as small as ``pages.shortened`` makes it."""
    folder = tmp_path_factory.mktemp('docs') / 'street_world'
    generate(folder, WorldConfig(source_images=2, train_images=2, val_images=2, size=(256, 128)))
    return folder
