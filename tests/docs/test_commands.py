# Licensed under the Apache License 2.0, see LICENSE.
"""Every script, option, config and file that a page names exists."""

import contextlib
import io
import re
import runpy
import sys
from functools import cache

import pytest

from mmseg_depthuda.commands import COMMANDS as COMMAND_TABLE
from mmseg_depthuda.commands import main
from mmseg_depthuda.engine.launch import find_config
from tests.docs.pages import DOCS, ROOT, code_blocks, command_lines

SOURCES = [path for path in DOCS.rglob('*.md') if '_build' not in path.parts]
PAGES = sorted([*ROOT.glob('*.md'), *SOURCES])
SHELL = ('', 'bash', 'shell', 'sh', 'console')
# Scripts of the shell that hand their options on.
HANDS_ON_TO = {
    'tools/dist_train.sh': 'tools/train.py',
    'tools/dist_test.sh': 'tools/test.py',
}


def commands(page):
    """Commands of shell blocks and of inline code."""
    found = [
        line
        for block in code_blocks(page)
        if block.language in SHELL
        for line in command_lines(block.code)
    ]
    text = re.sub(r'^```.*?^```$', '', page.read_text(), flags=re.M | re.S)
    found += re.findall(r'`((?:python|bash) tools/[^`]+|mmseg-depthuda [^`]+)`', text)
    return [line for line in found if re.search(r'\b(python|bash) tools/|mmseg-depthuda ', line)]


COMMANDS = [(page, line) for page in PAGES for line in commands(page)]


@cache
def help_of(script):
    """What ``--help`` of a Python tool prints."""
    output = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        contextlib.redirect_stdout(output),
        pytest.raises(SystemExit) as end,
    ):
        monkeypatch.setattr(sys, 'argv', [script, '--help'])
        runpy.run_path(str(ROOT / script), run_name='__main__')
    assert not end.value.code
    return output.getvalue()


@cache
def help_of_command(*names):
    """What ``mmseg-depthuda NAMES --help`` prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), pytest.raises(SystemExit) as end:
        main([*names, '--help'])
    assert not end.value.code
    return output.getvalue()


def check_own_command(words):
    """Whether ``mmseg-depthuda WORDS`` names a command, its options and configs that there are."""
    part, names = COMMAND_TABLE, []
    while not isinstance(part, str) and words and not words[0].startswith('--'):
        names.append(words.pop(0))
        assert names[-1] in part, names
        part = part[names[-1]]
    known = set(re.findall(r'--[a-z][\w-]*', help_of_command(*names)))
    assert {word for word in words if word.startswith('--')} <= known
    for word in words:
        if word.endswith('.py'):
            find_config(word)


def written_by(page):
    """Paths that a page tells its reader to create."""
    text = page.read_text()
    copied = re.findall(r'^(?:mkdir -p \S+ && )?cp \S+ (\S+)$', text, re.M)
    return {block.file for block in code_blocks(page)} | set(copied)


def test_commands_are_found():
    lines = [line for _, line in COMMANDS]
    assert 'bash tools/quickstart.sh' in lines
    assert any('tools/train.py configs/corda/corda_r101_gta2cs.py' in line for line in lines)


@pytest.mark.parametrize(
    ('page', 'line'), COMMANDS, ids=[f'{page.stem}: {line}' for page, line in COMMANDS]
)
def test_command(page, line):
    for command in re.split(r'&&|\|\||;', line):
        own = re.search(r'mmseg-depthuda (.*)', command)
        if own is not None:
            check_own_command(own[1].split())
        match = re.search(r'\b(?:python|bash) (tools/\S+)(.*)', command)
        if match is None:
            continue
        script, arguments = match.groups()
        assert (ROOT / script).is_file(), script
        script = HANDS_ON_TO.get(script, script)
        options = re.findall(r'(?<![\w-])--[a-z][\w-]*', arguments)
        if script.endswith('.py'):
            known = set(re.findall(r'--[a-z][\w-]*', help_of(script)))
            assert set(options) <= known, set(options) - known
        for config in re.findall(r'(?<=\s)[\w/]+/[\w/-]+\.py(?=\s|$)', arguments):
            if config not in written_by(page):
                find_config(config)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_files_that_a_page_names_exist(page):
    folders = 'configs|mmseg_depthuda|requirements|tests|tools'
    named = re.findall(rf'(?<![\w./$])(?:{folders})/[\w./-]+\.(?:csv|py|sh|txt)', page.read_text())
    placeholders = {name for name in named if re.search('[A-Z]{3}', name)}
    missing = set(named) - placeholders - written_by(page)
    assert not {name for name in missing if not (ROOT / name).is_file()}
