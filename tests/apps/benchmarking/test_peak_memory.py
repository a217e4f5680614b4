# Licensed under the Apache License 2.0, see LICENSE.
import os
import sys

import pytest

from mmseg_depthuda.apps.benchmarking import peak_memory
from mmseg_depthuda.apps.benchmarking.peak_memory import EAGER_RETURN, peak_resident_bytes

ALLOCATIONS = """
import torch

def grow_shrink_grow(mebibytes):
    for _ in range(3):  # freed blocks that stay would add up
        tensors = [torch.ones(1 << 18) for _ in range(mebibytes)]
        del tensors
    kept = torch.ones(mebibytes // 2, 1 << 18)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_peak_is_that_of_the_live_tensors(tmp_path, monkeypatch):
    (tmp_path / 'allocations.py').write_text(ALLOCATIONS)
    monkeypatch.syspath_prepend(tmp_path)
    from allocations import grow_shrink_grow

    before = dict(os.environ)
    peak = peak_resident_bytes(grow_shrink_grow, 200) / 2**20
    assert 200 <= peak < 230
    assert dict(os.environ) == before and not EAGER_RETURN.keys() & before.keys()


def test_not_measured_where_the_system_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(peak_memory, 'PROCESS_STATUS', tmp_path / 'status')
    assert peak_resident_bytes(len, 'never called') is None
