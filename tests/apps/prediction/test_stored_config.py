# Licensed under the Apache License 2.0, see LICENSE.
"""A config out of a checkpoint is data; whatever would run is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmseg_depthuda.apps.prediction.stored_config import parse_config, stored_config

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.from_regex(r'[a-z]{1,5}_', fullmatch=True), inner)
        | st.dictionaries(st.integers(), inner)
    ),
    max_leaves=6,
)


@given(VALUES)
def test_a_literal_is_itself(value):
    assert parse_config(f'value = {value!r}') == dict(value=value)


def test_what_mmengine_writes():
    written = dict(
        model=dict(type='A', size=(1, -2), nested=[dict(x=None), [1.5e-3]], names={3: 'a'}),
        flag=False,
    )
    assert parse_config(Config(written).pretty_text) == written


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('x = 1\nimport os', 'line 2 is no assignment'),
        ("x = __import__('os').system('true')", 'line 1 is no literal: __import__'),
        ("x = dict(a=[open('f')])", 'no literal: open'),
        ('x = dict(**y)', 'no literal: dict'),
        ('x = [i for i in (1, 2)]', 'no literal'),
        ('x.y = 1', 'line 1 is no assignment'),
        ('x = = 1', 'line 1 is no Python'),
    ],
)
def test_code_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_config(text)


def checkpoint(model, step='PackSegInputs'):
    text = f"model = {model!r}\ntest_pipeline = [dict(type='{step}')]"
    return dict(meta=dict(cfg=text))


@pytest.mark.parametrize('kind', ['os.system', 'subprocess.Popen', 'mmseg.os.system', 'MyHead', 1])
def test_types_that_are_not_registered_are_refused(kind):
    model = dict(type='UDASegmentor', decode_head=dict(inner=[dict(type=kind)]))
    with pytest.raises(ValueError, match=r'a\.pth has the type .*--config CONFIG'):
        stored_config(checkpoint(model), 'a.pth')
    with pytest.raises(ValueError, match='has the type'):
        stored_config(checkpoint(dict(type='UDASegmentor'), step=str(kind)), 'a.pth')


def test_registered_types_with_and_without_scope():
    model = dict(type='UDASegmentor', backbone=dict(type='mmseg.ResNet', norm_cfg=dict(type='BN')))
    assert stored_config(checkpoint(model), 'a.pth').model == model


def test_a_checkpoint_without_config():
    with pytest.raises(ValueError, match=r'a\.pth holds no config.*--config CONFIG'):
        stored_config(dict(state_dict={}), 'a.pth')


def test_infinity_as_mmengine_writes_it():
    assert parse_config('a = [-inf, inf]')['a'] == [float('-inf'), float('inf')]
