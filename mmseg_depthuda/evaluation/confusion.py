# Licensed under the Apache License 2.0, see LICENSE.
"""The confusion matrix of predictions that MMSeg's ``test.py --out`` has written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mmseg.datasets import BaseSegDataset
from PIL import Image

from mmseg_depthuda.fileio import path_below


def count_confusions(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count the pixels of every pair of true and predicted class.

    Args:
        labels (np.ndarray): True classes, integer, any shape.
        predictions (np.ndarray): Predicted classes in 0..num_classes - 1, integer, same shape.
        num_classes (int): Number of classes.
        ignore_index (int): Label of the pixels that do not count. Defaults to 255.

    Returns:
        np.ndarray: int64, (num_classes, num_classes); rows are true, columns predicted classes.

    Raises:
        ValueError: A label that counts, or a prediction there, is no class.
    """
    counted = labels != ignore_index
    # In uint8, as in MMSeg's confusion_matrix.py, this overflows from 17 classes on.
    labels, predictions = (array[counted].astype(np.int64) for array in (labels, predictions))
    for name, values in (('labels', labels), ('predictions', predictions)):
        wrong = np.unique(values[(values < 0) | (values >= num_classes)])
        if wrong.size:
            raise ValueError(
                f'the {name} have the values {wrong[:10].tolist()}, but there are {num_classes} '
                f'classes, 0 to {num_classes - 1}, and {ignore_index} is ignored. Map other labels '
                'to 255 by label_map of the dataset; write predictions by test.py --out.'
            )
    pairs = num_classes * labels + predictions
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def confusion_matrix(dataset: BaseSegDataset, folder: str | Path) -> np.ndarray:
    """Compare a folder of predictions with the labels of a dataset.

    Args:
        dataset (BaseSegDataset): Test dataset; its pipeline loads the labels.
        folder (str | Path): With one PNG of class indices per image, of the image's name; below
            the image's folders if ``test.py`` has written it there.

    Returns:
        np.ndarray: int64, (num_classes, num_classes); rows are true, columns predicted classes.

    Raises:
        FileNotFoundError: If an image has no prediction.
        ValueError: If a prediction and its labels differ in size, or have values that are no class.
    """
    num_classes = len(dataset.metainfo['classes'])
    total = np.zeros((num_classes, num_classes), dtype=np.int64)
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples']
        path = Path(folder) / f'{Path(sample.img_path).stem}.png'
        image = path_below(sample.img_path, dataset.data_prefix.get('img_path'))
        if image is not None and (Path(folder) / image.with_suffix('.png')).is_file():
            path = Path(folder) / image.with_suffix('.png')
        if not path.is_file():
            raise FileNotFoundError(
                f'{path}: no prediction for {sample.img_path}. Write them by test.py with --out.'
            )
        labels = sample.gt_sem_seg.data.squeeze(0).numpy()
        predictions = np.asarray(Image.open(path))
        if predictions.shape != labels.shape:
            raise ValueError(
                f'{path} has the shape {predictions.shape}, the labels of {sample.img_path} have '
                f'{labels.shape}. Write the predictions with the same test pipeline.'
            )
        if sample.metainfo.get('reduce_zero_label'):  # MMSeg writes classes from 1 on then
            predictions = predictions.astype(np.int64) - 1
        try:
            total += count_confusions(labels, predictions, num_classes, dataset.ignore_index)
        except ValueError as error:
            raise ValueError(f'{sample.img_path} and {path}: {error}') from error
    return total
