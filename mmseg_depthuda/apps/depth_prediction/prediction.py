# Licensed under the Apache License 2.0, see LICENSE.
"""Pseudo depth: what a trained network predicts for images without depth, as files to train on."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.utils import track_iter_progress
from mmseg.apis import inference_model
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_depthuda.apps.checked_model import load_checked_model
from mmseg_depthuda.datasets.depth_encodings import corda_inverse_depth, encode_png_disparity
from mmseg_depthuda.datasets.image_files import IMAGE_SUFFIXES, list_files
from mmseg_depthuda.fileio import atomic_write
from mmseg_depthuda.models import SelfSupervisedDepth
from mmseg_depthuda.models.decode_heads.head_contract import has_disparities

# CorDA's encoding knows no infinite depth, so nothing supervises the prediction in the sky.
CLASSES_WITHOUT_DEPTH = ('sky',)
SCALES = ('metric', 'normalized')


def disparity_png(inverse_depth: np.ndarray) -> np.ndarray:
    """Encode inverse depth as ``LoadInverseDepth`` reads it from a disparity PNG.

    0 means "no depth". CorDA reads everything from 655 m on as such, above all the sky.

    Args:
        inverse_depth (np.ndarray): CorDA encoding, (H, W), float.

    Returns:
        np.ndarray: uint16, (H, W).

    Raises:
        ValueError: If a value is not finite.
    """
    _check_finite(inverse_depth)
    return encode_png_disparity(inverse_depth)


def normalized_png(inverse_depth: np.ndarray) -> np.ndarray:
    """Encode inverse depth of unknown unit, from 1 for the farthest pixel to 65535 for the nearest.

    The pseudo depth of Hoyer et al. (CVPR 2021), and of CorDA's monocular files, is normalized in
    this way in each image.

    Args:
        inverse_depth (np.ndarray): Any unit, (H, W), float.

    Returns:
        np.ndarray: uint16, (H, W); 65535 everywhere in an image of one depth.

    Raises:
        ValueError: If a value is not finite.
    """
    _check_finite(inverse_depth)
    low, high = inverse_depth.min(), inverse_depth.max()
    share = (inverse_depth - low) / (high - low) if high > low else np.ones_like(inverse_depth)
    return np.rint(1 + 65534 * share).astype(np.uint16)


def predict_folder(
    config: str | Path,
    checkpoint: str | Path,
    images: str | Path,
    out: str | Path,
    device: str,
    scale: str | None = None,
) -> tuple[int, int]:
    """Write one 16-bit PNG of pseudo depth per image of a folder and its subfolders.

    Any model of this package that predicts depth can be used: those of CorDA, SimpleAux and DADA,
    and networks trained on video or stereo pairs. The folder may be that of a dataset:
    ``data/cityscapes/leftImg8bit/train`` to ``data/cityscapes/disparity/train`` gives the files of
    ``CityscapesDepthDataset(depth='mono')``, ``data/gta/images`` to ``data/gta/disparity`` those of
    ``GTA5DepthDataset``.

    Pixels that a network takes for one of :data:`CLASSES_WITHOUT_DEPTH` get no depth, if it
    predicts classes. Images whose PNG exists are skipped, so that an interrupted run goes on; a PNG
    appears under its name only when it is complete.

    Args:
        config (str | Path): Config of a model that predicts depth.
        checkpoint (str | Path): Its checkpoint.
        images (str | Path): Folder of images.
        out (str | Path): Folder to write to; ``a/b.jpg`` becomes ``a/b.png`` there.
        device (str): ``'cpu'``, ``'cuda'``, ``'cuda:1'``...
        scale (str, optional): ``'metric'``: :func:`disparity_png`, for a network whose depth is in
            meters; ``'normalized'``: :func:`normalized_png`, for one trained on video alone.
            Defaults to None: normalized for a network that learns depth from video without right
            images, metric for all others.

    Returns:
        tuple[int, int]: Number of images predicted now, and skipped.

    Raises:
        FileNotFoundError: If the folder holds no image.
        ValueError: If the model does not predict depth, the checkpoint is another model's,
            ``scale`` is unknown, two images differ only in their suffix, or ``out`` lies in
            ``images``.
    """
    if scale not in (*SCALES, None):
        raise ValueError(f'scale must be one of {list(SCALES)}, got {scale!r}')
    images, out = Path(images), Path(out)
    if out.resolve().is_relative_to(images.resolve()):
        raise ValueError(
            f'{out} is, or lies in, the folder of the images, so that the depth would be taken for '
            'images by the next run. Name a folder beside it.'
        )
    paths = [images / name for name in list_files(images, IMAGE_SUFFIXES)]
    if not paths:
        raise FileNotFoundError(f'{images} holds no image ({", ".join(IMAGE_SUFFIXES)}).')
    files = {path: (out / path.relative_to(images)).with_suffix('.png') for path in paths}
    by_file = {file: path for path, file in files.items()}
    if overwritten := [path for path in paths if by_file[files[path]] != path]:
        raise ValueError(
            f'{overwritten[0]} and {by_file[files[overwritten[0]]]} would have one file, '
            f'{files[overwritten[0]]}. Rename one of them, or move it to another folder.'
        )
    model = load_checked_model(config, checkpoint, device)
    if not getattr(model, 'predicts_depth', False):
        raise ValueError(
            f'The model of {config} does not predict depth: take a config with CorDAHead, '
            'SimpleAuxHead, DADAHead or PADHead, or one of configs/monodepth2.'
        )
    scale = scale or _scale_of(model)
    todo = [path for path in paths if not files[path].exists()]
    for path in track_iter_progress(todo) if todo else ():
        png = _depth_png(model, inference_model(model, str(path)), scale)
        with atomic_write(files[path]) as file:
            file.write(cv2.imencode('.png', png)[1].tobytes())
    return len(todo), len(paths) - len(todo)


def _scale_of(model: nn.Module) -> str:
    """Whether a model was trained on depth in meters."""
    if not isinstance(model, SelfSupervisedDepth):
        return 'normalized' if _learns_from_video(model) else 'metric'
    has_right = model.cfg.train_dataloader.dataset.get('data_prefix', {}).get('right_path')
    return 'metric' if has_right else 'normalized'


def _learns_from_video(model: Any) -> bool:
    """Whether the prediction is 1 / depth, and not the encoding of depth files."""
    return isinstance(model, SelfSupervisedDepth) or has_disparities(model.decode_head)


def _depth_png(model: Any, result: SegDataSample, scale: str) -> np.ndarray:
    inverse_depth = result.pred_depth_map.data[0].float().cpu().numpy()
    if scale == 'normalized':
        png = normalized_png(inverse_depth)
    elif _learns_from_video(model):
        # 1 / meters; CorDA adds a centimeter to the meters.
        _check_finite(inverse_depth)
        png = disparity_png(corda_inverse_depth(1 / inverse_depth))
    else:  # CorDA's and DADA's encodings are the same number of the same meters
        png = disparity_png(inverse_depth)
    if 'pred_sem_seg' in result:
        classes = model.dataset_meta['classes']
        without_depth = [classes.index(name) for name in CLASSES_WITHOUT_DEPTH if name in classes]
        png[np.isin(result.pred_sem_seg.data[0].cpu().numpy(), without_depth)] = 0
    return png


def _check_finite(inverse_depth: np.ndarray) -> None:
    if not np.isfinite(inverse_depth).all():
        raise ValueError('The network predicts depth that is not finite: is the checkpoint sound?')
