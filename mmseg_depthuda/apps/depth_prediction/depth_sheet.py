# Licensed under the Apache License 2.0, see LICENSE.
"""Depth files beside their images, to be looked at before anything is trained on them."""

from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import Compose

from mmseg_depthuda.adaptation.depth import valid_depth
from mmseg_depthuda.datasets import FolderDepthDataset
from mmseg_depthuda.datasets.depth_encodings import metres_of_inverse_depth
from mmseg_depthuda.datasets.transforms import LoadImageFromFile, LoadInverseDepth
from mmseg_depthuda.visualization.panels import draw_depths

SUFFIXES = {'mat_metres': '.mat', 'png_disparity': '.png', 'png_centimetres': '.png'}
WIDTH = 512  # of a panel


def depth_sheet(
    images: str | Path, depth: str | Path, depth_file: str, count: int = 4
) -> tuple[np.ndarray, str]:
    """Draw images of a folder above one another, the depth that training will read beside them.

    Images are spread evenly over the folder; bright is near, black is unknown.

    Args:
        images (str | Path): Folder of images, with subfolders.
        depth (str | Path): Folder of depth files, named as the images.
        depth_file (str): Kind of the depth files, one of :data:`SUFFIXES`.
        count (int): Number of images. Defaults to 4.

    Returns:
        tuple[np.ndarray, str]: The picture, RGB, uint8, (H, W, 3); and how many images have a depth
        file, and what the drawn ones hold: the share of the pixels with depth and, if it is in
        meters, its quantiles.

    Raises:
        FileNotFoundError: If a folder is missing, or holds no image, or no depth of any.
        ValueError: If a depth file is not of its kind.
    """
    dataset = FolderDepthDataset(
        data_prefix=dict(img_path=str(images), depth_map_path=str(depth)),
        depth_map_suffix=SUFFIXES[depth_file],
        lazy_init=True,
    )
    listed = dataset.list_images()
    files = {stem: Path(dataset.companion_path('depth_map_path', stem)) for stem in listed}
    present = [stem for stem, file in files.items() if file.is_file()]
    if not present:
        raise FileNotFoundError(
            f'{depth} holds no depth file of the {len(listed)} images in {images}, such as '
            f'{next(iter(files.values()))}.'
        )
    places = np.linspace(0, len(present) - 1, min(count, len(present)))
    load = Compose([LoadImageFromFile(), LoadInverseDepth(encoding='corda')])
    samples = [
        load(
            dict(
                img_path=str(Path(images) / listed[stem]),
                depth_map_path=str(files[stem]),
                depth_file=depth_file,
                seg_fields=[],
            )
        )
        for stem in (present[place] for place in places.round().astype(int))
    ]
    maps = [sample['gt_depth_map'] for sample in samples]
    rows = [
        np.hstack([_panel(sample['img'][..., ::-1]), _panel(draw_depths([inverse_depth])[0])])
        for sample, inverse_depth in zip(samples, maps, strict=True)
    ]
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    summary = _summary(np.concatenate([m.ravel() for m in maps]), depth_file)
    return np.vstack(rows), f'{len(present)} of {len(listed)} images have a depth file; {summary}'


def _panel(picture: np.ndarray) -> np.ndarray:
    height = round(picture.shape[0] * WIDTH / picture.shape[1])
    return cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)


def _summary(inverse_depth: np.ndarray, depth_file: str) -> str:
    known = inverse_depth[valid_depth(inverse_depth)]
    summary = f'{known.size / inverse_depth.size:.1%} of the pixels drawn have depth'
    if depth_file == 'png_disparity' or not known.size:
        return summary
    low, median, high = np.percentile(metres_of_inverse_depth(known), [5, 50, 95])
    return f'{summary}: median {median:.1f} m, nine tenths in {low:.1f} to {high:.1f} m'
