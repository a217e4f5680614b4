# Licensed under the Apache License 2.0, see LICENSE.
"""IoU of every class, subset of classes and image, with the size at which it was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MMLogger, print_log
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor

from mmseg_depthuda.datasets.label_protocols import IGNORE_INDEX, get_protocol
from mmseg_depthuda.fileio import path_below

from .compared_size import compared_size, named_sizes
from .image_scores import ImageScores, score_images, write_image_scores
from .metric_arguments import named_arguments, refuse_unknown_arguments

IOU_METRICS = ('mIoU', 'mDice', 'mFscore')


@METRICS.register_module()
class PerClassIoUMetric(IoUMetric):
    """MMSeg's ``IoUMetric`` that also returns the IoU of each class, means over subsets of the
    classes, and the mean of what single images reach.

    Published SYNTHIA results are means over 16 and over 13 of the 19 classes of the network. One
    evaluation gives them all: ``class_subsets=dict(mIoU_16='synthia16', mIoU_13='cityscapes13')``.
    A subset restricts the mean, not the prediction: the network still predicts all classes.

    The mIoU of an image is over the classes that its label or its prediction contains;
    ``image_mIoU`` is the mean over the images. ``per_image_scores`` keeps them, for
    ``tools/analysis_tools/negative_transfer.py``.

    Args:
        class_subsets (Mapping[str, str | Sequence[str]], optional): Name of a mean -> the classes
            it is over, by name or as the name of a protocol in
            :data:`~mmseg_depthuda.datasets.label_protocols.PROTOCOLS`.
        per_image_scores (str | Path, optional): CSV file for what each image reaches, see
            :func:`~mmseg_depthuda.evaluation.image_scores.write_image_scores`. Every evaluation
            replaces it.
        image_root (str | Path, optional): Folder of the images. ``output_dir`` gets the folders
            below it. Without it, label PNGs have only the names of the images.
            :class:`~mmseg_depthuda.engine.hooks.OutputFoldersHook` sets it where images of two
            folders have one name.
        ignore_index (int): Label that is left out. If it is a class, no pixel with this label
            counts, the class itself has no value (NaN), and no mean has it. 255 is always left out.
            Defaults to 255.
        iou_metrics (str | Sequence[str]): ``'mIoU'``, ``'mDice'``, ``'mFscore'``, or several.
        **kwargs: Other arguments of MMSeg's ``IoUMetric``.

    Raises:
        ValueError: A protocol is unknown, a subset is empty, names a class twice or, when the
            dataset is known, one that the dataset does not have; ``per_image_scores`` is no file
            that can be written, or nothing is scored (``format_only``). An argument is unknown or
            has an impossible value, or ``nan_to_num`` would give the ignored class a value.
    """

    output_dir: str | None

    def __init__(
        self,
        class_subsets: Mapping[str, str | Sequence[str]] | None = None,
        per_image_scores: str | Path | None = None,
        image_root: str | Path | None = None,
        ignore_index: int = IGNORE_INDEX,
        iou_metrics: str | Sequence[str] = ('mIoU',),
        **kwargs,
    ) -> None:
        # MMSeg's test.py --out sets keep_results, which nothing reads.
        known = named_arguments(PerClassIoUMetric, IoUMetric) | {'keep_results'}
        refuse_unknown_arguments('PerClassIoUMetric', kwargs, known)
        iou_metrics = [iou_metrics] if isinstance(iou_metrics, str) else list(iou_metrics)
        if not iou_metrics or not set(iou_metrics) <= set(IOU_METRICS):
            raise ValueError(
                f'iou_metrics of PerClassIoUMetric must be some of {", ".join(IOU_METRICS)}, got '
                f'{iou_metrics}'
            )
        if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
            raise ValueError(
                f'ignore_index of PerClassIoUMetric must be one integer, got {ignore_index!r}. To '
                'leave out more labels, map them to 255 by label_map of the dataset.'
            )
        super().__init__(ignore_index=ignore_index, iou_metrics=iou_metrics, **kwargs)
        if per_image_scores is not None:
            if not isinstance(per_image_scores, str | Path) or Path(per_image_scores).is_dir():
                raise ValueError(
                    f'per_image_scores must name a CSV file to write, got {per_image_scores!r}'
                )
            if self.format_only:
                raise ValueError('format_only compares with no label: remove per_image_scores')
        self.per_image_scores = per_image_scores
        self.image_root = image_root
        self.class_subsets = {
            name: get_protocol(subset).classes if isinstance(subset, str) else tuple(subset)
            for name, subset in (class_subsets or {}).items()
        }
        for name, subset in self.class_subsets.items():
            if not subset or len(set(subset)) < len(subset):
                raise ValueError(f'class_subsets[{name!r}] must name classes once each: {subset}')

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the dataset; ``classes`` are the names in order of their index."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        # MMEngine sets it when it builds the loop: a wrong subset ends the run before the training.
        self._dataset_meta = dataset_meta
        known = (dataset_meta or {}).get('classes', ())
        if self.nan_to_num is not None and 0 <= self.ignore_index < len(known):
            raise ValueError(
                f'nan_to_num={self.nan_to_num} of PerClassIoUMetric would count the class '
                f'{known[self.ignore_index]!r}, which ignore_index={self.ignore_index} leaves out. '
                'Remove one of the two from val_evaluator and test_evaluator.'
            )
        for name, subset in self.class_subsets.items():
            missing = [class_name for class_name in subset if class_name not in known]
            if missing:
                raise ValueError(
                    f'class_subsets[{name!r}] of PerClassIoUMetric has the classes {missing}, '
                    f'which the dataset does not have; it has {list(known)}. Remove the subset '
                    'from val_evaluator and test_evaluator, or evaluate a dataset with them.'
                )

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count the pixels of a batch.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): With ``pred_sem_seg`` and ``gt_sem_seg``, each (1, H, W).

        Raises:
            ValueError: The two differ in size, or a label is neither a class nor ignored.
        """
        if self.format_only:
            self._process_in_folders(data_batch, data_samples)
            return
        for one in data_samples:
            self._check_labels(one)
        sizes = [compared_size(one, 'pred_sem_seg', 'gt_sem_seg') for one in data_samples]
        paths = [self._image_path(one) for one in data_samples]
        counted = len(self.results)
        self._process_in_folders(data_batch, data_samples)
        self.results[counted:] = [
            (*areas, size, path)
            for areas, size, path in zip(self.results[counted:], sizes, paths, strict=True)
        ]

    def _check_labels(self, sample: dict) -> None:
        """MMSeg counts a label that is no class as an error of the class that is predicted."""
        label = sample['gt_sem_seg']['data']
        classes = self._classes()
        wrong = (label < 0) | (label >= len(classes))
        wrong &= (label != IGNORE_INDEX) & (label != self.ignore_index)
        if wrong.any():
            raise ValueError(
                f'{sample.get("seg_map_path") or sample.get("img_path")}: the labels have the '
                f'values {label[wrong].unique().tolist()[:10]}, but the dataset has '
                f'{len(classes)} classes, 0 to {len(classes) - 1}, and 255 is ignored. Map the '
                'values by label_map of the dataset, to 255 if they do not count.'
            )

    def _classes(self) -> Sequence[str]:
        if self.dataset_meta is None:
            raise ValueError(
                'PerClassIoUMetric does not know the names of the classes: give the evaluator the '
                'metainfo of the dataset (evaluator.dataset_meta = dataset.metainfo), as the loops '
                'of MMEngine do.'
            )
        return self.dataset_meta['classes']

    @staticmethod
    def intersect_and_union(
        pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Count the pixels of an image. 255 is ignored beside ``ignore_index``.

        Args:
            pred_label (Tensor): Predicted classes, integer, (H, W).
            label (Tensor): Labels, integer, (H, W).
            num_classes (int): Number of classes, at most 254.
            ignore_index (int): Label that is left out. If it is a class, its areas are 0.

        Returns:
            tuple[Tensor, Tensor, Tensor, Tensor]: Areas of intersection, union, prediction and
            label, each (num_classes,), on the CPU.
        """
        label = label.masked_fill(label == ignore_index, IGNORE_INDEX)
        areas = IoUMetric.intersect_and_union(pred_label, label, num_classes, IGNORE_INDEX)
        if 0 <= ignore_index < num_classes:
            for area in areas:
                area[ignore_index] = 0
        return areas

    def _process_in_folders(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """MMSeg's ``process``, whose files have the folders of their images."""
        if self.output_dir is None or self.image_root is None:
            super().process(data_batch, data_samples)
            return
        root = Path(self.output_dir)
        try:
            for sample in data_samples:
                image = path_below(sample['img_path'], self.image_root)
                if image is None:
                    raise ValueError(
                        f'{sample["img_path"]} is not below image_root={str(self.image_root)!r} '
                        'of the metric. Set it to the data_prefix.img_path of the dataset, or to '
                        'None.'
                    )
                folder = root / image.parent
                folder.mkdir(parents=True, exist_ok=True)
                self.output_dir = str(folder)
                super().process(data_batch, [sample])
        finally:
            self.output_dir = str(root)

    def _image_path(self, sample: dict) -> str | None:
        path = sample.get('img_path')
        if path is None and self.per_image_scores is not None:
            raise ValueError(
                'per_image_scores needs the name of each image: leave img_path in the meta_keys of '
                'PackSegInputs in the test pipeline'
            )
        return path

    def compute_metrics(
        self, results: list[tuple[Tensor, Tensor, Tensor, Tensor, tuple[int, int], str | None]]
    ) -> dict[str, float]:
        """Sum the areas of all images and divide.

        Args:
            results (list): Per image the areas of intersection, union, prediction and label, each
                (num_classes,), in pixels, the size (H, W) of the label, and the image file.

        Returns:
            dict[str, float]: What ``IoUMetric`` returns; ``IoU.CLASS`` and the means over the
            subsets, in percent; NaN for a class that neither a label nor a prediction contains,
            which the means leave out; ``image_mIoU``, the mean over the images of their own mIoU,
            in percent; and ``eval_width`` and ``eval_height``, the size at which prediction and
            label were compared, unless the images differ in it.
        """
        metrics = super().compute_metrics([image[:4] for image in results])
        if self.format_only:
            return metrics
        intersection = torch.stack([image[0] for image in results])
        union = torch.stack([image[1] for image in results])
        label = torch.stack([image[3] for image in results])
        iou = 100 * intersection.sum(0) / union.sum(0)
        if self.nan_to_num is not None:
            iou = iou.nan_to_num(100 * self.nan_to_num)
        names = self._classes()
        for name, subset in self.class_subsets.items():
            indices = [names.index(class_name) for class_name in subset]
            metrics[name] = iou[indices].nanmean().item()
        sizes = [size for *_, size, _ in results]
        scores = score_images(
            [path or '' for *_, path in results],
            names,
            intersection.numpy(),
            union.numpy(),
            label.numpy(),
            sizes,
        )
        metrics['image_mIoU'] = self._mean_over_images(scores)
        metrics |= self._size_metrics(sizes, metrics)
        return metrics | {
            f'IoU.{name}': value for name, value in zip(names, iou.tolist(), strict=True)
        }

    def _mean_over_images(self, scores: ImageScores) -> float:
        """Write the scores of the images where they are asked for, and average them."""
        scored = np.isfinite(scores.miou)
        if not scored.all():
            print_log(
                f'{(~scored).sum()} of {len(scored)} images have no labeled pixel and no mIoU of '
                'their own; image_mIoU leaves them out',
                MMLogger.get_current_instance(),
            )
        if self.per_image_scores is not None:
            write_image_scores(self.per_image_scores, scores)
            print_log(
                f'scores of {len(scored)} images written to {self.per_image_scores}',
                MMLogger.get_current_instance(),
            )
        return scores.miou[scored].mean().item() if scored.any() else float('nan')

    def _size_metrics(
        self, sizes: Sequence[tuple[int, int]], metrics: Mapping[str, float]
    ) -> dict[str, float]:
        """Log the means together with the size they hold at, and return that size."""
        counts = Counter(sizes)
        means = {name: metrics[name] for name in ('mIoU', *self.class_subsets) if name in metrics}
        text = ', '.join(f'{name} {value:.2f}' for name, value in means.items())
        print_log(f'compared at {named_sizes(counts)}: {text}', MMLogger.get_current_instance())
        if len(counts) > 1:
            return {}
        ((height, width),) = counts
        # MMEngine writes null for an integer into the JSON file of a test.
        return dict(eval_width=float(width), eval_height=float(height))
