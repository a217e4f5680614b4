# Licensed under the Apache License 2.0, see LICENSE.
"""Depth errors in meters of networks that predict inverse depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from mmengine.logging import MMLogger, print_log
from mmseg.evaluation import DepthMetric
from mmseg.registry import METRICS
from torch import Tensor

from mmseg_depthuda.adaptation.depth import valid_depth
from mmseg_depthuda.datasets.depth_encodings import (
    depth_of_png_disparity,
    metres_of_inverse_depth,
)

from .compared_size import compared_size, named_sizes
from .metric_arguments import named_arguments, refuse_unknown_arguments


@METRICS.register_module()
class InverseDepthMetric(DepthMetric):
    """MMSeg's ``DepthMetric`` for the inverse depth of this package.

    Ground truth is inverse depth of metric files (meters, centimeters, or disparity with camera) as
    :class:`LoadInverseDepth` gives it, in either encoding. Pixels without it, and those beyond the
    evaluated range, do not count. Predictions are brought to meters and limited to that range, and
    the errors are averaged over images, as Eigen et al., NeurIPS 2014, and most since. Images
    without a valid pixel are left out.

    The validation dataset must load its depth (``depth='stereo'``, and ``LoadInverseDepth`` beside
    ``LoadLabels`` in the test pipeline), and the network predict one (``CorDAHead``,
    ``SelfSupervisedDepth``). Depth files of unknown scale (``'png_disparity'``) are no ground
    truth.

    Args:
        scale (str): Whether predictions are in meters, ``'metric'``, or have an unknown unit,
            ``'median'``: the depth of each image is multiplied by median(truth) /
            median(prediction) (Zhou et al., CVPR 2017). Defaults to 'metric'.
        prediction (str, optional): What predictions are. ``'encoded'``: as the ground truth.
            ``'disparity'``: ``disparity + 1``, which is what a network learns from
            ``'png_disparity'`` files, of unknown scale. ``'inverse'``: ``1 / depth``, which is what
            :class:`SelfSupervisedDepth` predicts. Defaults to 'encoded' with ``scale='metric'`` and
            to 'disparity' with ``scale='median'``.
        min_depth_eval (float): Nearest depth that counts, in meters. Defaults to 0.1, the nearest
            that the CorDA encoding has.
        max_depth_eval (float): Farthest depth that counts, in meters. Defaults to 80.
        **kwargs: ``collect_device`` and ``prefix`` of MMEngine's metrics.

    Raises:
        ValueError: An argument is not known or not one of these, or the range is empty.
    """

    METRICS = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'd1', 'd2', 'd3')

    def __init__(
        self,
        scale: str = 'metric',
        prediction: str | None = None,
        min_depth_eval: float = 0.1,
        max_depth_eval: float = 80.0,
        **kwargs,
    ) -> None:
        known = named_arguments(InverseDepthMetric) | {'collect_device', 'prefix'}
        refuse_unknown_arguments('InverseDepthMetric', kwargs, known)
        if scale not in ('metric', 'median'):
            raise ValueError(f"scale must be 'metric' or 'median', got {scale!r}")
        if prediction is None:
            prediction = 'encoded' if scale == 'metric' else 'disparity'
        if prediction not in _DEPTH_OF_PREDICTION:
            raise ValueError(
                f'prediction must be one of {sorted(_DEPTH_OF_PREDICTION)}, got {prediction!r}'
            )
        if (scale, prediction) == ('metric', 'disparity'):
            raise ValueError(
                "prediction='disparity' has no scale: it needs scale='median', got scale='metric'"
            )
        if not 0 < min_depth_eval < max_depth_eval:
            raise ValueError(
                'min_depth_eval must be positive and smaller than max_depth_eval, got '
                f'{min_depth_eval} and {max_depth_eval} m'
            )
        super().__init__(min_depth_eval=min_depth_eval, max_depth_eval=max_depth_eval, **kwargs)
        self.scale, self.prediction = scale, prediction

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Measure the errors of a batch.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): With ``pred_depth_map`` and ``gt_depth_map``, inverse
                depth, each (1, H, W).

        Raises:
            ValueError: One of the two is missing, or they differ in size.
        """
        for sample in data_samples:
            if 'pred_depth_map' not in sample:
                raise ValueError(
                    'InverseDepthMetric: the network predicts no depth. Use one that does '
                    '(CorDAHead, SelfSupervisedDepth), or remove the metric from val_evaluator '
                    'and test_evaluator.'
                )
            if 'gt_depth_map' not in sample:
                raise ValueError(
                    f'InverseDepthMetric: {sample.get("img_path")} is loaded without depth. Set '
                    "the depth of the validation dataset (Cityscapes: depth='stereo') and put "
                    'LoadInverseDepth beside LoadLabels into its pipeline, or remove the metric '
                    'from val_evaluator and test_evaluator.'
                )
            size = compared_size(sample, 'pred_depth_map', 'gt_depth_map')
            truth = sample['gt_depth_map']['data'].float()
            prediction = sample['pred_depth_map']['data'].float().to(truth.device)
            self.results.append((self.depth_errors(prediction, truth), size))

    def depth_errors(self, prediction: Tensor, truth: Tensor) -> dict[str, float] | None:
        """Measure the errors of one image.

        Args:
            prediction (Tensor): Predicted inverse depth, float32, any shape.
            truth (Tensor): True inverse depth, float32, of that shape.

        Returns:
            dict[str, float] | None: The errors by name; None if no pixel counts.
        """
        metres = metres_of_inverse_depth(truth)
        counted = valid_depth(truth) & self._get_eval_mask(metres)
        if not counted.any():
            return None
        metres, prediction = metres[counted], prediction[counted]
        predicted = _DEPTH_OF_PREDICTION[self.prediction](prediction)
        if self.scale == 'median':
            predicted = predicted * (metres.median() / predicted.median())
        predicted = predicted.clamp(self.min_depth_eval, self.max_depth_eval)
        return self._calc_all_metrics(metres, predicted)

    def compute_metrics(
        self, results: list[tuple[dict[str, float] | None, tuple[int, int]]]
    ) -> dict[str, float]:
        """Average the errors over the images.

        Args:
            results (list): Per image its errors, and the size (H, W) at which it was compared.

        Returns:
            dict[str, float]: ``abs_rel``, ``sq_rel`` and ``rmse`` (meters), ``rmse_log`` (natural
            logarithm), and ``d1``, ``d2``, ``d3``: shares in 0..1 of the pixels that are wrong by
            less than a factor of 1.25, 1.25^2 and 1.25^3.

        Raises:
            ValueError: No image has a pixel that counts.
        """
        measured = [errors for errors, _ in results if errors is not None]
        if not measured:
            raise ValueError(
                f'InverseDepthMetric: none of {len(results)} images has a depth of '
                f'{self.min_depth_eval} to {self.max_depth_eval} m. Check the depth files of the '
                'validation dataset.'
            )
        sizes = named_sizes(Counter(size for _, size in results))
        print_log(
            f'depth of {len(measured)} of {len(results)} images compared at {sizes}, '
            f'{self.min_depth_eval} to {self.max_depth_eval} m, scale: {self.scale}',
            MMLogger.get_current_instance(),
        )
        return {
            name: sum(errors[name] for errors in measured) / len(measured) for name in self.metrics
        }


def _depth_of_inverse(prediction: Tensor) -> Tensor:
    """Depth of ``1 / depth``, up to a million."""
    return 1 / prediction.clamp_min(1e-6)


_DEPTH_OF_PREDICTION: dict[str, Callable[[Tensor], Tensor]] = dict(
    encoded=metres_of_inverse_depth,
    disparity=depth_of_png_disparity,
    inverse=_depth_of_inverse,
)
