# Licensed under the Apache License 2.0, see LICENSE.
"""A network as an ONNX file, compared with PyTorch before it gets its name."""

from __future__ import annotations

import json
import os
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmseg.models import EncoderDecoder
from torch import Tensor, nn

import mmseg_depthuda
from mmseg_depthuda.models.decode_heads.head_contract import predicted_tasks
from mmseg_depthuda.structures import dense_task

from .predictor import Predictor

TOLERANCE = 1e-4
OPSET = 17


class PredictionNetwork(nn.Module):
    """A segmentor from pixels to maps, with the normalization of its images.

    Args:
        model: A segmentor in evaluation mode, on the CPU.
    """

    def __init__(self, model: EncoderDecoder) -> None:
        super().__init__()
        self.model = model
        self.tasks = predicted_tasks(model.decode_head)
        self.names = ('logits', *self.tasks)
        preprocessor = model.data_preprocessor
        self.takes_rgb = preprocessor._channel_conversion
        normalizes = preprocessor._enable_normalize
        self.mean = preprocessor.mean if normalizes else torch.zeros(3, 1, 1)
        self.std = preprocessor.std if normalizes else torch.ones(3, 1, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Predict.

        Args:
            images: RGB, 0..255, float32, (N, 3, H, W).

        Returns:
            Logits (N, num_classes, H, W), then a map for each of ``tasks``: of depth the inverse
            depth (N, 1, H, W).
        """
        height, width = images.shape[2:]
        inputs = images if self.takes_rgb else images.flip(1)
        size = (int(height), int(width))
        meta = dict(img_shape=size, pad_shape=size, ori_shape=size)
        maps = self.model.encode_decode((inputs - self.mean) / self.std, [meta])
        return self.split(maps)

    def split(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Logits and further maps, which are one tensor in the model."""
        channels = [dense_task(task).channels for task in self.tasks]
        return maps.split([maps.shape[1] - sum(channels), *channels], dim=1)


def export_onnx(predictor: Predictor, image: str | Path, out: str | Path) -> str:
    """Write the network of a predictor as an ONNX file.

    The file takes images of the size that the network sees in the test, for a picture as large as
    ``image``. Where the test slides a window, the file has no window: it sees the image at once.

    Args:
        predictor: On the CPU.
        image: A picture, on which ONNX Runtime and PyTorch are compared.
        out: File to write.

    Returns:
        What was written, and how well it agrees with PyTorch.

    Raises:
        ImportError: ``onnx`` or ``onnxruntime`` is not installed.
        ValueError: The network is no segmentor, or the file predicts something else than PyTorch.
            Then nothing is written.
    """
    onnx, runtime = _libraries()
    if not isinstance(predictor.model, EncoderDecoder):
        raise ValueError(
            f'--onnx exports segmentors; {type(predictor.model).__name__} predicts depth alone'
        )
    network = PredictionNetwork(predictor.model).eval()
    data = predictor.prepare(image)
    images = data['inputs'].flip(0)[None].float().contiguous()  # MMSeg packs BGR
    expected = _of_pytorch(predictor.model, data, network)
    temporary = Path(f'{out}.tmp')
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # Of sizes that become constants, which is meant.
            warnings.simplefilter('ignore')
            torch.onnx.export(
                network,
                (images,),
                str(temporary),
                input_names=['images'],
                output_names=list(network.names),
                dynamic_axes={name: {0: 'batch'} for name in ('images', *network.names)},
                opset_version=OPSET,
                dynamo=False,
            )
        _add_description(onnx, temporary, predictor)
        session = runtime.InferenceSession(str(temporary), providers=['CPUExecutionProvider'])
        found = session.run(list(network.names), {'images': images.numpy()})
        differences = {
            name: _difference(one, other)
            for name, one, other in zip(network.names, found, expected, strict=True)
        }
        if max(differences.values()) > TOLERANCE:
            raise ValueError(f'the ONNX file differs from PyTorch: {differences}. It is not kept.')
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    height, width = images.shape[2:]
    listed = ', '.join(f'{name} {value:.1e}' for name, value in differences.items())
    return (
        f'{out}: images (N, 3, {height}, {width}), RGB 0..255 -> {", ".join(network.names)}. '
        f'Largest difference from PyTorch: {listed}.'
    )


def _of_pytorch(model: EncoderDecoder, data: dict, network: PredictionNetwork) -> list[np.ndarray]:
    """What the model itself predicts, by its own preprocessing."""
    batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
    inputs = model.data_preprocessor(batch, False)['inputs']
    if inputs.shape[2:] != data['inputs'].shape[1:]:
        raise ValueError(
            f'--onnx: the preprocessor pads {tuple(data["inputs"].shape[1:])} to '
            f'{tuple(inputs.shape[2:])}. Take a picture whose size needs no padding.'
        )
    size = tuple(inputs.shape[2:])
    with torch.no_grad():
        maps = model.encode_decode(inputs, [dict(img_shape=size, pad_shape=size, ori_shape=size)])
    return [one.numpy() for one in network.split(maps)]


def _libraries() -> tuple[Any, Any]:
    try:
        return import_module('onnx'), import_module('onnxruntime')
    except ImportError as error:
        raise ImportError(
            f'--onnx needs {error.name}, which is not installed: pip install '
            "'mmseg-depthuda[onnx]', or pip install onnx onnxruntime."
        ) from error


def _add_description(onnx: Any, path: Path, predictor: Predictor) -> None:
    """Write classes, palette and unit into the file."""
    model = onnx.load(str(path))
    description = dict(classes=json.dumps(predictor.classes), palette=json.dumps(predictor.palette))
    if predictor.predicts_depth:
        description['depth'] = (
            'meters = 655.36 / depth - 0.01' if predictor.depth_is_metric else 'relative'
        )
    onnx.helper.set_model_props(model, description)
    model.producer_name, model.producer_version = 'mmseg_depthuda', mmseg_depthuda.__version__
    onnx.save(model, str(path))


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference; of values above 1 relative to them."""
    return float((np.abs(found - expected) / np.maximum(np.abs(expected), 1)).max())
