# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np

from mmseg_depthuda.apps.annotation_selection.contact_sheet import BORDER, TILE, contact_sheet


def test_images_stand_in_rows_in_the_order_of_their_choice(tmp_path):
    paths = []
    for number, (height, width) in enumerate([(40, 80), (100, 100), (20, 80), (40, 80), (40, 80)]):
        paths.append(tmp_path / f'{9 - number}.png')
        cv2.imwrite(str(paths[-1]), np.full((height, width, 3), 40 * number, np.uint8))
    sheet = contact_sheet(paths)
    width, height = TILE[0] + BORDER, TILE[1] + BORDER
    assert sheet.shape == (3 * height, 2 * width, 3)  # 2 columns
    middles = sheet[TILE[1] // 4 :: height, TILE[0] // 4 :: width, 0]
    np.testing.assert_array_equal(middles[:, :2].ravel(), [0, 40, 80, 120, 160, 255])
    # The second is square: right of it the tile stays white. The third is 4:1: white below.
    assert (sheet[: TILE[1], width + 81 :] == 255).all()
    assert (sheet[height + 41 : 2 * height - BORDER, : TILE[0]] == 255).all()
    assert (sheet[:20, :20] == 255).any()  # its number
