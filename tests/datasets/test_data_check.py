# Licensed under the Apache License 2.0, see LICENSE.
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmcv.transforms import Compose, RandomChoice, TestTimeAug
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmseg.datasets.transforms import PackSegInputs
from torch.utils.data import TensorDataset

from mmseg_depthuda.datasets import LoadInverseDepth, LoadLabels
from mmseg_depthuda.datasets.data_check import (
    check_files,
    find_transform,
    images_without_depth,
    sample_evenly,
    simple_datasets,
)


@given(n=st.integers(0, 300), count=st.integers(1, 40))
def test_an_even_sample(n, count):
    sample = sample_evenly(n, count)
    assert len(sample) == min(n, count) == len(set(sample))
    gaps = [b - a for a, b in zip(sample, sample[1:], strict=False)]
    assert max(gaps, default=1) - min(gaps, default=1) <= 1
    if n and count > 1:
        assert (sample[0], sample[-1]) == (0, n - 1)


def test_files_come_back_in_order_with_their_errors():
    def read(info):
        if info['path'] == '2':
            raise ValueError('two is broken')
        if info['path'] == '3':
            raise AssertionError
        return int(info['path']) ** 2

    files = check_files(read, [dict(path=str(i)) for i in range(5)], 'path', seconds=60)
    assert [file.path for file in files] == list('01234')
    assert [file.content for file in files] == [0, 1, None, None, 16]
    assert files[2].error == 'two is broken'
    assert files[3].error == '3: AssertionError: '


def test_when_the_time_is_up_what_was_read_is_spread():
    def read(info):
        time.sleep(0.02)

    start = time.monotonic()
    files = check_files(read, [dict(path=f'{i:04}') for i in range(2000)], 'path', seconds=0.4)
    assert time.monotonic() - start < 2  # all of them would take 5 s
    numbers = [int(file.path) for file in files]
    assert 10 < len(numbers) < 1000
    assert min(numbers) < 500 and max(numbers) > 1500


def test_wrapped_datasets_are_looked_into():
    a, b = (BaseDataset(lazy_init=True) for _ in range(2))
    assert list(simple_datasets(ConcatDataset([a, b], lazy_init=True))) == [a, b]
    assert list(simple_datasets(RepeatDataset(a, 2, lazy_init=True))) == [a]
    assert list(simple_datasets(a)) == [a]


@pytest.mark.parametrize(
    'nest',
    [
        lambda step: [step],
        lambda step: [RandomChoice([[step], [PackSegInputs()]])],
        lambda step: [TestTimeAug([[PackSegInputs(), PackSegInputs()], [step]])],
    ],
)
def test_transforms_are_found_in_others(nest):
    step = LoadLabels()
    dataset = SimpleNamespace(pipeline=Compose(nest(step)))
    assert find_transform(dataset, LoadLabels) is step
    assert find_transform(dataset, TensorDataset) is None
    assert find_transform(TensorDataset(), LoadLabels) is None


def test_images_without_depth():
    class Listed(BaseDataset):
        def load_data_list(self):
            return [dict(img_path=f'{i}.png', **own) for i, own in enumerate(self.metainfo['own'])]

    def listed(own, *steps):
        return Listed(metainfo=dict(own=own), pipeline=list(steps))

    some, step = [dict(depth_map_path='a'), dict(), dict(depth_map_path=None)], LoadInverseDepth()
    assert images_without_depth(listed(some, step)) == ['1.png', '2.png']
    assert images_without_depth(ConcatDataset([listed(some[:1]), listed(some[:1], step)])) == [
        '0.png'
    ]
    assert images_without_depth(TensorDataset()) == []
