# Licensed under the Apache License 2.0, see LICENSE.
"""MMSeg's visualizer for predictions that come with depth, or at another size than the image
file."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import mmcv
import numpy as np
from mmengine.dist import master_only
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer

from .legends import titled_strip
from .panels import as_map, draw_depths, draw_difficulty

TITLES = dict(
    sem_seg=dict(gt='true labels', pred='predicted labels'),
    depth_map=dict(gt='true depth', pred='predicted depth'),
)
DIFFICULTY_TITLE = 'difficulty (bright: hard)'


@VISUALIZERS.register_module()
class DepthLocalVisualizer(SegLocalVisualizer):
    """MMSeg's visualizer that draws everything a sample has into one strip.

    Left to right, under their titles: image, true labels, segmentation, true depth, predicted depth
    (bright is near), and the difficulty of adaptation where there are two depth decoders (1 -
    ``depth_agreement``, bright is difficult). What the sample lacks is left out. Labels are painted
    over the image with the names of their classes, as in MMSeg, whose colors stand beside the
    strip. Both depths are drawn on the scale of the truth.

    The image is resized to the maps: the protocols of this field compare predictions at a smaller
    size than that of the image files.

    Args:
        name (str): Name of the instance.
        vis_backends (str | Sequence[str | dict], optional): Back ends by their type, or as MMSeg
            has them. Names can be given on the command line:
            ``--cfg-options visualizer.vis_backends=LocalVisBackend,TensorboardVisBackend``.
        depth_scale (str): ``'shared'`` where predicted depth has the unit of the truth, so that a
            wrong scale is visible. ``'median'`` where it has another unit, or none, such as that of
            :class:`SelfSupervisedDepth`. It is then multiplied first so that the medians are equal,
            as in the evaluation with median scaling. Defaults to 'shared'.
        smallest_height (int): Lower pictures are enlarged by a whole factor. Defaults to 256.
        **kwargs: The other arguments of MMSeg's ``SegLocalVisualizer``.

    Raises:
        ValueError: ``depth_scale`` is neither.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        vis_backends: str | Sequence[str | dict] | None = None,
        depth_scale: str = 'shared',
        smallest_height: int = 256,
        **kwargs,
    ):
        if depth_scale not in ('shared', 'median'):
            raise ValueError(f"depth_scale must be 'shared' or 'median', got {depth_scale!r}.")
        self.depth_scale = depth_scale
        self.smallest_height = smallest_height
        if isinstance(vis_backends, str):
            vis_backends = [vis_backends]
        if vis_backends is not None:
            vis_backends = [
                dict(type=backend) if isinstance(backend, str) else backend
                for backend in vis_backends
            ]
        super().__init__(name, vis_backends=vis_backends, **kwargs)

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: SegDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        with_labels: bool = True,
    ) -> None:
        """Draw a sample and send the picture to the back ends.

        Args:
            name (str): Name of the picture. The ``domain`` of the sample, if it has one, is put in
                front.
            image (np.ndarray): RGB, uint8, (H, W, 3).
            data_sample (SegDataSample, optional): What to draw beside the image.
            draw_gt (bool): Draw ``gt_sem_seg`` and ``gt_depth_map``.
            draw_pred (bool): Draw ``pred_sem_seg``, ``pred_depth_map`` and ``depth_agreement``.
            show (bool): Show the picture in a window.
            wait_time (float): Seconds for which it is shown; 0 waits for a key.
            out_file (str, optional): Write it to this file instead of the back ends.
            step (int): Number of the picture in the back ends.
            with_labels (bool): Write the names of the classes.
        """
        kinds = ['gt'] * draw_gt + ['pred'] * draw_pred
        panels = self._panels(image, data_sample, kinds, with_labels)
        has_labels = any(name in panels for name in TITLES['sem_seg'].values())
        classes, palette = (self.dataset_meta.get(key) for key in ('classes', 'palette'))
        is_named = with_labels and has_labels and classes is not None and palette is not None
        picture = titled_strip(
            panels,
            [str(name) for name in classes] if is_named else None,
            palette or (),
            self.smallest_height,
        )
        self.set_image(picture)  # for callers of get_image(), such as MMSegInferencer
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(mmcv.rgb2bgr(picture), out_file)
            return
        domain = None if data_sample is None else data_sample.metainfo.get('domain')
        self.add_image(name if domain is None else f'{domain}_{name}', picture, step)

    def _panels(
        self,
        image: np.ndarray,
        sample: SegDataSample | None,
        kinds: Sequence[str],
        with_labels: bool,
    ) -> dict[str, np.ndarray]:
        """The image and the maps of a sample by their titles, RGB pictures of one size."""
        sample = SegDataSample() if sample is None else sample
        labels, depths = (
            {
                TITLES[field][kind]: sample.get(f'{kind}_{field}')
                for kind in kinds
                if f'{kind}_{field}' in sample
            }
            for field in ('sem_seg', 'depth_map')
        )
        maps = [*labels.values(), *depths.values()]
        if maps:
            height, width = as_map(maps[0]).shape
            if image.shape[:2] != (height, width):
                image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        classes, palette = (self.dataset_meta.get(key) for key in ('classes', 'palette'))
        # Datasets of others may number their classes, and OpenCV writes text only.
        classes = None if classes is None else [str(name) for name in classes]
        panels = {'image': image}
        for title, label in labels.items():
            panels[title] = self._draw_sem_seg(image, label, classes, palette, with_labels)
        if depths:
            drawn = draw_depths(list(depths.values()), self.depth_scale == 'median')
            panels |= dict(zip(depths, drawn, strict=True))
        if 'pred' in kinds and 'depth_agreement' in sample:
            panels[DIFFICULTY_TITLE] = draw_difficulty(sample.depth_agreement)
        return panels

    def _get_center_loc(self, mask: np.ndarray) -> np.ndarray:
        """Where MMSeg writes the name of a class: in the middle of the row with most of its pixels.

        MMSeg sorts the coordinates of all pixels of the class in Python, which takes seconds per
        picture.

        Args:
            mask (np.ndarray): 1 on the class, 0 elsewhere, integer, (H, W); not 0 throughout.

        Returns:
            np.ndarray: (x, y).
        """
        row = mask.sum(axis=1).argmax()
        columns = np.flatnonzero(mask[row])
        return np.array([columns[len(columns) // 2], row])
