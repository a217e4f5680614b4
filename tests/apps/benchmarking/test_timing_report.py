# Licensed under the Apache License 2.0, see LICENSE.
import pytest

from mmseg_depthuda.apps.benchmarking import format_report, summarize
from mmseg_depthuda.apps.benchmarking.loop import Measurement

PACKAGE = [
    {'teacher': 1.0, 'source pass': 3.0, 'mixed pass': 3.0, 'EMA': 0.5},
    {'teacher': 1.0, 'source pass': 3.0, 'mixed pass': 4.0, 'EMA': 0.25, 'data': 0.25},
]
NAIVE = [{'teacher': 2.0, 'joint backward': 7.0, 'EMA': 1.0}]


def make_report(peaks):
    setting = dict(device='a machine', size=(512, 512))
    package, naive = Measurement(PACKAGE, [9.0, 11.0]), Measurement(NAIVE, [16.0])
    return summarize(setting, 2, dict(package=package, naive=naive), peaks)


def test_parts_are_averaged_over_all_iterations():
    report = make_report({})
    package = report['package']
    # A part that an iteration lacks took no time there; the order is that of an iteration.
    assert list(package['parts'].items()) == [
        ('data', 0.125),
        ('teacher', 1.0),
        ('source pass', 3.0),
        ('mixed pass', 3.5),
        ('EMA', 0.375),
    ]
    assert package['seconds'] == 8.0
    assert package['iteration_seconds'] == [7.5, 8.5]
    assert package['cpu_seconds'] == 10.0
    assert package['outside_network'] == 0.5 / 8
    assert package['images_per_second'] == 0.5
    assert report['naive']['outside_network'] == 0.1


def test_ratios():
    report = make_report(dict(package=6 << 30, naive=10 << 30))
    assert report['ratios'] == dict(seconds=0.8, cpu_seconds=0.625, peak_memory=pytest.approx(0.6))
    text = format_report(report)
    for expected in ('512', '0.3750', '4.7%', '6.00', '10.00', '6.2%', '0.800', '0.625', '0.600'):
        assert expected in text


def test_memory_that_was_not_measured_has_no_ratio():
    report = make_report(dict(package=None, naive=None))
    assert report['ratios']['peak_memory'] is None
    assert 'Peak memory, package' not in format_report(report)
