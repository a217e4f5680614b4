# Licensed under the Apache License 2.0, see LICENSE.
"""The site shows every page and every registered class with all of its arguments."""

import ast
import importlib
import importlib.util
import inspect
import re

import pytest

from mmseg_depthuda.structures import SAMPLE_FIELDS
from tests.docs.pages import DOCS, ROOT

specification = importlib.util.spec_from_file_location('site_contents', DOCS / 'site_contents.py')
site_contents = importlib.util.module_from_spec(specification)
specification.loader.exec_module(site_contents)


def registrations():
    """(registry, module, class) of every ``@REGISTRY.register_module()`` in the package."""
    for path in sorted((ROOT / 'mmseg_depthuda').rglob('*.py')):
        module = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            for decorator in map(ast.unparse, node.decorator_list):
                if match := re.match(r'(\w+)\.register_module\b', decorator):
                    yield match[1], module, node.name


REGISTRATIONS = list(registrations())


def test_registrations_are_found():
    assert ('HOOKS', 'mmseg_depthuda.engine.hooks.dacs_hook', 'DACSHook') in REGISTRATIONS


def test_the_reference_shows_every_registered_class():
    page = (DOCS / 'reference/config.md').read_text()
    registries = re.findall(r'^```{registered} (\w+)$', page, re.M)
    shown = [
        (registry, *name.rsplit('.', 1))
        for registry in registries
        for name in re.findall(r'autoclass:: (\S+)', site_contents.class_reference(registry))
    ]
    assert set(REGISTRATIONS) <= set(shown)
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize(('module', 'name'), [r[1:] for r in REGISTRATIONS])
def test_every_argument_is_documented(module, name):
    cls = getattr(importlib.import_module(module), name)
    doc = inspect.getdoc(cls)
    assert doc
    if '__init__' not in vars(cls):
        return
    section = re.search(r'^Args:\n((?: {4}.*\n?|\n)+)', doc, re.M)
    documented = re.findall(r'^ {4}\*{0,2}(\w+)', section[1], re.M) if section else []
    assert documented == list(inspect.signature(cls).parameters)


def test_the_reference_shows_every_function_of_adaptation():
    shown = site_contents.function_reference('mmseg_depthuda.adaptation')
    modules = set(re.findall(r'automodule:: mmseg_depthuda\.adaptation\.(\w+)', shown))
    files = {path.stem for path in (ROOT / 'mmseg_depthuda/adaptation').glob('*.py')}
    assert modules == files - {'__init__'}


def test_the_table_of_samples_shows_every_field():
    (_, _, *rows) = site_contents.sample_table().splitlines()
    cells = {row[0]: row[1:] for row in (re.split(r' \| ', line.strip('| ')) for line in rows)}
    assert list(cells) == [f'`{name}`' for name in SAMPLE_FIELDS]
    assert all(len(row) == 5 and all(row) for row in cells.values())
    assert cells['`gt_sem_seg`'][0] == 'int64' and cells['`gt_sem_seg`'][-1] == '255'
    assert cells['`gt_depth_map`'][-1] == '0' and cells['`mix_mask`'][-1] == '-'
    assert '```{sample_fields}\n```' in (DOCS / 'reference/samples.md').read_text()


def test_what_is_not_registered_is_an_error():
    with pytest.raises(ValueError, match="has a registry 'MODEL'"):
        site_contents.registered_classes('MODEL')
    with pytest.raises(ValueError, match='LOOPS holds nothing'):
        site_contents.registered_classes('LOOPS')


def test_navigation():
    page = '# Site\n\ntext\n\n## One\n\n- [A](a.md): x\n- [B](sub/b.md)\n\n## Two\n\n[c](c.md)\n'
    assert site_contents.with_navigation(page) == (
        '# Site\n\ntext\n\n## One\n\n- [A](a.md): x\n- [B](sub/b.md)\n\n'
        '```{toctree}\n:hidden:\n:caption: One\n\na\nsub/b\n```\n\n## Two\n\n[c](c.md)\n'
    )


def test_links_out_of_the_docs_are_downloads():
    page = '[a](../A-B.md), [b](b.md), [c](../configs/c.py)'
    linked = site_contents.with_links_out(page)
    assert linked == '[a](path:../A-B.md), [b](b.md), [c](../configs/c.py)'


def test_the_front_page_names_every_page():
    trees = re.findall(
        r'```{toctree}(.*?)```',
        site_contents.with_navigation((DOCS / 'index.md').read_text()),
        re.S,
    )
    named = set(re.findall(r'^[\w/]+$', '\n'.join(trees), re.M))
    sources = [path for path in DOCS.rglob('*.md') if '_build' not in path.parts]
    pages = {str(path.relative_to(DOCS).with_suffix('')) for path in sources}
    assert named == pages - {'index'}
