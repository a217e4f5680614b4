# Licensed under the Apache License 2.0, see LICENSE.
import pytest

from mmseg_depthuda.structures import SAMPLE_FIELDS, register_sample_field, sample_field
from mmseg_depthuda.structures import sample_fields as module
from mmseg_depthuda.structures.sample_fields import SampleField

HEIGHT = SampleField('height', 'float', 'meters', 'a transform', 'a loss', padding=-1)


@pytest.fixture
def table(monkeypatch):
    """Restores the table after the test."""
    kept = dict(module._TABLE)
    yield SAMPLE_FIELDS
    module._TABLE.clear()
    module._TABLE.update(kept)


def test_a_field_of_a_user(table):
    register_sample_field(HEIGHT)
    assert sample_field('height') is SAMPLE_FIELDS['height'] is HEIGHT
    register_sample_field(SampleField(**vars(HEIGHT)))  # an equal one, as in a file read twice
    with pytest.raises(ValueError, match="'height' exists already.*meters.*Take another name"):
        register_sample_field(SampleField('height', 'float', 'feet', 'a transform', 'a loss'))
    assert SAMPLE_FIELDS['height'].values == 'meters'


def test_the_table_is_read_only_from_outside():
    with pytest.raises(TypeError):
        SAMPLE_FIELDS['height'] = HEIGHT


def test_a_misspelled_name_is_told_the_nearest():
    with pytest.raises(KeyError, match="'gt_depthmap' is no field.*Did you mean 'gt_depth_map'"):
        sample_field('gt_depthmap')


def test_an_unknown_name_is_told_all():
    with pytest.raises(KeyError, match='is no field') as error:
        sample_field('xyz')
    assert 'Did you mean' not in str(error.value)
    assert all(name in str(error.value) for name in (*SAMPLE_FIELDS, 'register_sample_field'))


def test_padding_is_no_value_of_the_data():
    """Padding is ignored in labels and invalid in depth. Made maps have no padding."""
    padded = {n: f.padding for n, f in SAMPLE_FIELDS.items() if f.padding is not None}
    assert padded == dict(gt_sem_seg=255, gt_depth_map=0)
