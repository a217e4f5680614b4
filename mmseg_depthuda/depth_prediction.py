# Licensed under the Apache License 2.0, see LICENSE.
"""Pseudo depth: what a trained network sees in images that have no depth, as files to train on."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.utils import track_iter_progress
from mmseg.apis import inference_model, init_model

from mmseg_depthuda.engine.fileio import atomic_write

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg')
# CorDA's encoding knows no infinite depth, so nothing supervises the prediction in the sky.
CLASSES_WITHOUT_DEPTH = ('sky',)


def disparity_png(inverse_depth: np.ndarray) -> np.ndarray:
    """Encode inverse depth as ``LoadInverseDepth`` reads it from a disparity PNG.

    The pixel is ``round(256 * (inverse_depth - 1))``, clipped to 16 bits. 0 means "no depth", which
    is what CorDA makes of everything as far away as 655 m, the sky above all.

    Args:
        inverse_depth (np.ndarray): CorDA encoding (655.36 / metres), (H, W), float.

    Returns:
        np.ndarray: uint16, (H, W).

    Raises:
        ValueError: If a value is not finite.
    """
    if not np.isfinite(inverse_depth).all():
        raise ValueError('The network predicts depth that is not finite: is the checkpoint sound?')
    return np.rint(256 * (inverse_depth - 1)).clip(0, 65535).astype(np.uint16)


def predict_folder(
    config: str | Path, checkpoint: str | Path, images: str | Path, out: str | Path, device: str
) -> tuple[int, int]:
    """Write one 16-bit PNG of pseudo depth per image of a folder and its subfolders.

    Pixels that the network takes for one of :data:`CLASSES_WITHOUT_DEPTH` get no depth.

    Images whose PNG exists are skipped, so that an interrupted run goes on; a PNG appears under its
    name only when it is complete.

    Args:
        config (str | Path): Config of a model whose head predicts depth, in CorDA's encoding.
        checkpoint (str | Path): Its checkpoint.
        images (str | Path): Folder of images.
        out (str | Path): Folder to write to; ``a/b.jpg`` becomes ``a/b.png`` there.
        device (str): ``'cpu'``, ``'cuda'``, ``'cuda:1'``...

    Returns:
        tuple[int, int]: Number of images predicted now, and skipped.

    Raises:
        FileNotFoundError: If the folder holds no image.
        ValueError: If the model does not predict depth, or another encoding of it.
    """
    images, out = Path(images), Path(out)
    paths = sorted(p for p in images.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise FileNotFoundError(f'{images} holds no image ({", ".join(IMAGE_SUFFIXES)}).')
    model = init_model(str(config), str(checkpoint), device=device)
    _check_predicts_corda_depth(model, config)

    files = {path: (out / path.relative_to(images)).with_suffix('.png') for path in paths}
    todo = [path for path in paths if not files[path].exists()]
    classes = model.dataset_meta['classes']
    without_depth = [classes.index(name) for name in CLASSES_WITHOUT_DEPTH if name in classes]
    for path in track_iter_progress(todo) if todo else ():
        result = inference_model(model, str(path))
        depth = disparity_png(result.pred_depth_map.data[0].float().cpu().numpy())
        label = result.pred_sem_seg.data[0].cpu().numpy()
        depth[np.isin(label, without_depth)] = 0
        with atomic_write(files[path]) as file:
            file.write(cv2.imencode('.png', depth)[1].tobytes())
    return len(todo), len(paths) - len(todo)


def _check_predicts_corda_depth(model, config: str | Path) -> None:
    if not getattr(model, 'predicts_depth', False):
        raise ValueError(
            f'The model of {config} does not predict depth: take a config with CorDAHead.'
        )
    encodings = {step['encoding'] for step in _loading_steps(model.cfg)}
    if encodings - {'corda'}:
        raise ValueError(
            f'{config} trains on the depth encodings {sorted(encodings)}; the files written here '
            "hold CorDA's. Train with LoadInverseDepth(encoding='corda')."
        )


def _loading_steps(node) -> Iterator[dict]:
    """All settings of LoadInverseDepth in a config."""
    if isinstance(node, (dict, Config)):
        if node.get('type') == 'LoadInverseDepth':
            yield node
        for value in node.values():
            yield from _loading_steps(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _loading_steps(value)
