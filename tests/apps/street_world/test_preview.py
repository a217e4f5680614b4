# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np

from mmseg_depthuda.apps.street_world.preview import contact_sheet
from mmseg_depthuda.apps.street_world.world import StreetScene


def test_contact_sheet_shows_image_labels_and_depth():
    sheet = contact_sheet(0, (64, 32), tile_width=64)
    assert sheet.shape == (2 * (3 * 32 + 4), 6 * (64 + 4), 3) and sheet.dtype == np.uint8
    scene = StreetScene(0, 'real', 1, (64, 32)).view()
    np.testing.assert_array_equal(sheet[100:132, 68:132], scene.image)
    labels = sheet[132:164, 68:132]
    road = scene.label_ids == 7
    np.testing.assert_array_equal(labels[road], np.broadcast_to((128, 64, 128), (road.sum(), 3)))
    depth = sheet[164:196, 68:132]
    assert (depth[scene.label_ids == 23].mean(axis=0) < 60).all()
    assert depth[-1].mean() > 100
