# Licensed under the Apache License 2.0, see LICENSE.
"""Images to labels, confidence and depth, with nothing but a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmseg.registry import DATASETS, TRANSFORMS
from mmseg.structures import SegDataSample

from mmseg_depthuda.apps.checked_model import checked_model_of, usable_device
from mmseg_depthuda.datasets.depth_encodings import metres_of_inverse_depth
from mmseg_depthuda.models import SelfSupervisedDepth
from mmseg_depthuda.visualization.legends import confidence_picture, depth_picture, label_picture

from .stored_config import is_registered, pipeline_of_test, stored_config

SIZES = ('image', 'test')
MAX_CLASSES = 255  # 255 means no class


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image.

    Attributes:
        image: The image, RGB, uint8, (H, W, 3).
        labels: Class of each pixel, uint8, (H, W). None from a network that predicts depth alone.
        confidence: Softmax of that class, float32, 0..1, (H, W). None as ``labels``.
        inverse_depth: As the network was trained, float32, larger is nearer, (H, W). None from a
            network without depth.
        meters: Depth, float32, (H, W). None where the unit of the training is unknown.
        classes: Names of the classes.
        palette: Their colors, RGB, 0..255.
    """

    image: np.ndarray
    labels: np.ndarray | None
    confidence: np.ndarray | None
    inverse_depth: np.ndarray | None
    meters: np.ndarray | None
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]

    def pictures(self) -> dict[str, np.ndarray]:
        """What can be drawn, by name: RGB, uint8, each with its legend or color bar.

        Returns:
            dict[str, np.ndarray]: ``overlay`` (the classes over the image), ``depth`` and
            ``confidence``.
        """
        drawn = {}
        if self.labels is not None and self.confidence is not None:
            drawn['overlay'] = label_picture(self.image, self.labels, self.classes, self.palette)
            drawn['confidence'] = confidence_picture(self.confidence)
        if self.inverse_depth is not None:
            drawn['depth'] = depth_picture(self.inverse_depth, self.meters)
        return drawn


class Predictor:
    """A trained network and the steps of its test, out of one checkpoint.

    Args:
        checkpoint: File of a training with this package or with MMSegmentation.
        config: Its config. By default the one that the checkpoint holds, which is read as data: no
            code of the checkpoint is run.
        device: ``'cpu'``, ``'cuda'``... By default a GPU where there is one.
        size: ``'image'`` for predictions of the size of the image, ``'test'`` for the size at
            which ``tools/test.py`` compares, if the config compares at that of resized labels.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It is damaged, needs a config, or the config does not fit.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        config: str | Path | Config | None = None,
        device: str | None = None,
        size: str = 'image',
    ) -> None:
        if size not in SIZES:
            raise ValueError(f'size must be one of {list(SIZES)}, got {size!r}')
        self.size = size
        device = usable_device(device)
        stored = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu', logger='silent')
        if config is None:
            config = stored_config(stored, str(checkpoint))
        self.cfg = config if isinstance(config, Config) else Config.fromfile(config)
        init_default_scope(self.cfg.get('default_scope') or 'mmseg')
        self.model = checked_model_of(_without_pretrained(self.cfg), stored, checkpoint, device)
        self.predicts_depth = bool(getattr(self.model, 'predicts_depth', False))
        self.predicts_classes = not isinstance(self.model, SelfSupervisedDepth)
        self.depth_is_metric = self.predicts_depth and _is_metric(self.cfg, self.model)
        self.classes, self.palette = _classes(stored, self.cfg, self.model)
        self._pipelines = {
            kind: Compose(_steps(pipeline_of_test(self.cfg), loader, size))
            for kind, loader in (('file', 'LoadImageFromFile'), ('array', 'LoadImageFromNDArray'))
        }

    def prepare(self, image: str | Path | np.ndarray) -> dict:
        """The steps of the test before the network.

        Args:
            image: A file, or an array as of OpenCV: BGR, uint8, (H, W, 3).

        Returns:
            dict: ``inputs``, uint8, (3, H, W), and ``data_samples``, as MMSeg packs them.
        """
        if isinstance(image, np.ndarray):
            return self._pipelines['array'](dict(img=image))
        return self._pipelines['file'](dict(img_path=str(image)))

    @torch.no_grad()
    def __call__(self, image: str | Path | np.ndarray) -> Prediction:
        """Predict one image.

        Args:
            image: As for :meth:`prepare`.

        Returns:
            Prediction: At the size that ``size`` says.

        Raises:
            FileNotFoundError, ValueError: It is no image; the message names it.
        """
        data = self.prepare(image)
        batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
        (sample,) = self.model.test_step(batch)
        labels, confidence = self._labels(sample)
        inverse_depth = meters = None
        if self.predicts_depth:
            inverse_depth = sample.pred_depth_map.data[0].float().cpu().numpy()
            if not np.isfinite(inverse_depth).all():
                raise ValueError('the network predicts depth that is not finite')
        if self.depth_is_metric and inverse_depth is not None:
            of_video = isinstance(self.model, SelfSupervisedDepth)
            meters = 1 / inverse_depth if of_video else metres_of_inverse_depth(inverse_depth)
        some = labels if labels is not None else inverse_depth
        shown = _read_rgb(image, some.shape if some is not None else None)
        return Prediction(
            shown, labels, confidence, inverse_depth, meters, self.classes, self.palette
        )

    def _labels(self, sample: SegDataSample) -> tuple[np.ndarray | None, np.ndarray | None]:
        if not self.predicts_classes:
            return None, None
        labels = sample.pred_sem_seg.data[0]
        logits = sample.seg_logits.data.float()
        if logits.shape[0] == 1:  # MMSeg's head of one channel, whose sigmoid is in seg_logits
            confidence = torch.where(labels > 0, logits[0], 1 - logits[0])
        else:
            confidence = logits.softmax(dim=0).amax(dim=0)
        return labels.to(torch.uint8).cpu().numpy(), confidence.cpu().numpy()


def _without_pretrained(cfg: Config) -> Config:
    """A copy without the weights that a training starts from: those of the checkpoint come."""

    def strip(part: Any) -> Any:
        if isinstance(part, dict):
            kept = {key: strip(value) for key, value in part.items() if key != 'init_cfg'}
            return kept | ({'pretrained': None} if 'pretrained' in part else {})
        return type(part)(map(strip, part)) if isinstance(part, list | tuple) else part

    plain = cfg.to_dict()
    return Config(plain | dict(model=strip(plain['model'])))


def _steps(pipeline: Sequence[dict], loader: str, size: str) -> list:
    """Transforms of a test for images without labels."""
    steps: list[Any] = []
    for step in pipeline:
        name = step['type'].rpartition('.')[2]
        if name in ('LoadImageFromFile', 'LoadImageFromNDArray'):
            steps.append(TRANSFORMS.build(dict(step, type=loader)))
        elif name in ('LoadLabels', 'LoadAnnotations'):
            steps += [_add_blank_labels] if size == 'test' else []
        elif not name.startswith('Load'):  # depth and whatever else a prediction does not need
            steps.append(TRANSFORMS.build(dict(step)))
    return steps


def _add_blank_labels(results: dict) -> dict:
    """Labels of the size of the file, by which the later steps find the size of the comparison."""
    results['gt_seg_map'] = np.zeros(results['ori_shape'], dtype=np.uint8)
    results.setdefault('seg_fields', []).append('gt_seg_map')
    return results


def _is_metric(cfg: Config, model: Any) -> bool:
    """Whether the depth that a network was trained on has a unit."""
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    if isinstance(model, SelfSupervisedDepth):
        return bool((dataset.get('data_prefix') or {}).get('right_path'))
    domains = [dataset.get('target'), dataset.get('source'), dataset]
    trained = next((domain for domain in domains if domain and _loads_depth(domain)), None)
    return trained is not None and _depth_file(trained) not in ('png_disparity', None)


def _loads_depth(dataset: dict) -> bool:
    steps = [step.get('type') for step in dataset.get('pipeline') or ()]
    if dataset.get('type') == 'CityscapesDepthDataset' and not dataset.get('depth'):
        return False
    return 'LoadInverseDepth' in steps and bool(
        (dataset.get('data_prefix') or {}).get('depth_map_path', True)
    )


def _depth_file(dataset: dict) -> str | None:
    """Kind of the depth files of a dataset, of which no file is touched."""
    if not is_registered(dataset.get('type'), DATASETS):
        return None
    try:
        built = DATASETS.build(dict(dataset, pipeline=[], lazy_init=True))
    except OSError:  # a list or statistics that are on another machine
        return None
    return getattr(built, 'depth_file', None)


def _classes(checkpoint: dict, cfg: Config, model: Any) -> tuple[list[str], list[list[int]]]:
    """Names and colors of the classes, from the checkpoint or from the dataset of the config."""
    if isinstance(model, SelfSupervisedDepth):
        return [], []
    count = max(model.decode_head.num_classes, 2)
    if count > MAX_CLASSES:
        raise ValueError(f'the network has {count} classes, but a label is 8 bit: {MAX_CLASSES}')
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    known = is_registered(dataset.get('type'), DATASETS)
    kind = DATASETS.get(dataset['type']) if known else None
    for found in (
        checkpoint.get('meta', {}).get('dataset_meta') or {},
        dataset.get('metainfo') or {},
        getattr(kind, 'METAINFO', {}),
    ):
        if len(found.get('classes') or ()) == count:
            names = [str(name) for name in found['classes']]
            palette = found.get('palette') or []
            return names, [*map(list, palette)] if len(palette) == count else _colors(count)
    return [f'class {index}' for index in range(count)], _colors(count)


def _colors(count: int) -> list[list[int]]:
    """Colors that differ in hue, RGB."""
    hsv = np.array([[[179 * i // count, 200, 230] for i in range(count)]], np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0].tolist()


def _read_rgb(image: str | Path | np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    """The image as the network has read it, resized to its prediction."""
    if isinstance(image, np.ndarray):
        read = TRANSFORMS.build(dict(type='LoadImageFromNDArray'))(dict(img=image))['img']
    else:
        read = TRANSFORMS.build(dict(type='LoadImageFromFile'))(dict(img_path=str(image)))['img']
    if shape is not None and read.shape[:2] != shape:
        read = cv2.resize(read, shape[::-1], interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(read[..., ::-1])
