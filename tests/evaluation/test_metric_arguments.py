# Licensed under the Apache License 2.0, see LICENSE.
"""Arguments that MMSeg's metrics would ignore silently."""

import pytest

import mmseg_depthuda  # noqa: F401
from mmseg_depthuda.evaluation.metric_arguments import check_evaluator


@pytest.mark.parametrize(
    'evaluator',
    [
        None,
        dict(type='IoUMetric', iou_metrics=['mIoU'], ignore_index=0),
        [dict(type='IoUMetric', keep_results=True), dict(type='DepthMetric', crop_type=None)],
        # The constructors of these check themselves, or are unknown until they are built.
        [dict(type='PerClassIoUMetric', class_subsets={}), dict(type='Own', anything=1)],
    ],
)
def test_known_arguments_pass(evaluator):
    check_evaluator(evaluator)


@pytest.mark.parametrize('of_list', [False, True])
def test_unknown_arguments_name_the_nearest(of_list):
    evaluator = dict(type='IoUMetric', ignore_indx=0)
    with pytest.raises(ValueError, match='IoUMetric has no argument ignore_indx; .* ignore_index'):
        check_evaluator([dict(type='DepthMetric'), evaluator] if of_list else evaluator)
