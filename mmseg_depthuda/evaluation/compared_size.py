# Licensed under the Apache License 2.0, see LICENSE.
"""The size at which predictions are compared with the truth. Published results differ in it."""

from collections import Counter


def compared_size(sample: dict, prediction: str, truth: str) -> tuple[int, int]:
    """Look up the size of a prediction and its truth.

    Args:
        sample (dict): Prediction of MMSeg, as metrics get it.
        prediction (str): Key of the predicted map, ``'pred_sem_seg'`` or ``'pred_depth_map'``.
        truth (str): Key of the true map, ``'gt_sem_seg'`` or ``'gt_depth_map'``.

    Returns:
        tuple[int, int]: Height and width.

    Raises:
        ValueError: The two differ in size.
    """
    predicted, true = (tuple(sample[key]['data'].shape[-2:]) for key in (prediction, truth))
    if predicted != true:
        raise ValueError(
            f'{sample.get("img_path")}: {prediction} is {predicted[1]}x{predicted[0]}, {truth} '
            f'{true[1]}x{true[0]}. Load the truth after the resize to compare at the size of the '
            'image file, or put MatchOriShapeToLabels after the resize to compare at the size of '
            'the resized labels.'
        )
    return true


def named_sizes(counts: Counter) -> str:
    """Name sizes for the log, ``1024x512``, with the number of images of each if they differ.

    Args:
        counts (Counter): Number of images by size (H, W).

    Returns:
        str: Widths and heights, the most frequent first.
    """
    return ', '.join(
        f'{width}x{height}' + (f' ({count} images)' if len(counts) > 1 else '')
        for (height, width), count in counts.most_common()
    )
