# Licensed under the Apache License 2.0, see LICENSE.
import math
from types import SimpleNamespace

import pytest

from mmseg_depthuda.apps.benchmarking.instrumentation import replaced


class Greeter:
    def greet(self):
        return 'class'


def test_replaced_method_of_an_instance_falls_back_to_the_class():
    greeter = Greeter()
    with replaced(greeter, 'greet', lambda: 'block'):
        assert greeter.greet() == 'block'
    assert greeter.greet() == 'class' and not vars(greeter)


def test_replaced_blocks_nest():
    owner = SimpleNamespace(value=1)
    with replaced(owner, 'value', 2):
        with replaced(owner, 'value', 3):
            assert owner.value == 3
        assert owner.value == 2
    assert owner.value == 1


def test_replaced_function_of_a_module_comes_back_after_an_error():
    original = math.sqrt
    with pytest.raises(ZeroDivisionError), replaced(math, 'sqrt', abs):
        assert math.sqrt is abs
        raise ZeroDivisionError
    assert math.sqrt is original
