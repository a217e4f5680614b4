# Licensed under the Apache License 2.0, see LICENSE.
"""Prose is American English and avoids a few words that readers misunderstand; code is left out."""

import ast
import io
import re
import tokenize

import pytest

from tests.docs.pages import ROOT

# Files and folders whose prose is checked: Markdown, comments and docstrings.
CHECKED = (
    *('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs', 'configs', 'tools'),
    *('mmseg_depthuda', 'tests', 'setup.py'),
)
LEFT_OUT = ('docs/_build/',)

# Regular expression of a word -> what to write.
WORDS = {
    r'\w*(?:behavi|col|fav|harb|hon|neighb)our\w*': 'color, neighbor',
    r'(?:un)?(?:cancel|label|model|travel)l(?:ed|ing)': 'labeled, modeling',
    r'(?:centi|deci|kilo|milli)?metres?': 'meter',
    r'centre[ds]?': 'center',
    r'(?:general|initial|maxim|minim|normal|optim|organ|random|real|recogn|regular|serial|standard'
    r'|summar|synchron|util|visual)is(?:e[drs]?|ers|es|ing|ations?)': 'normalize, optimizer',
    r'analys(?:e[drs]?|ing)': 'analyze',
    r'catalogues?|programmes?': 'catalog, program',
    r'(?:de|of)fences?|licences?': 'license',
    r'grey|judgement|learnt|maths|per cent': 'gray, judgment, learned, math, percent',
    r'behind': 'after (time, order); for a place: farther than, covered by',
}
PATTERN = re.compile(rf'(?<![\w./=-])(?:{"|".join(WORDS)})(?![\w/=(])', re.I)
CODE_SPAN = re.compile(r'(`+)[^`]+\1')


def files():
    for entry in CHECKED:
        for path in sorted(ROOT.glob(entry)):
            found = sorted(path.rglob('*.*')) if path.is_dir() else [path]
            for file in found:
                name = str(file.relative_to(ROOT))
                if file.suffix in PROSE and not name.startswith(LEFT_OUT):
                    yield name


def of_markdown(text):
    """Everything but code spans, links' targets, and code blocks without their comments."""

    def comments(block):
        return '\n'.join(re.findall(r'(?<!\S)#+ .*', block[0]))

    text = re.sub(r'^```.*?^```', comments, text, flags=re.M | re.S)
    return re.sub(r'\]\([^)]*\)', ']', text)


def of_python(text):
    """Comments and docstrings; names of arguments and attributes are no prose."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = [token.string for token in tokens if token.type == tokenize.COMMENT]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            doc = ast.get_docstring(node) or ''
            found.append(re.sub(r'^ +\*{0,2}\w+(?: \([^)]*\))?:', '', doc, flags=re.M))
    return '\n'.join(found)


def of_shell(text):
    return '\n'.join(re.findall(r'(?<!\S)#.*', text))


PROSE = {'.md': of_markdown, '.py': of_python, '.sh': of_shell}
FILES = list(files())


def wrong_words(text, suffix):
    prose = CODE_SPAN.sub('', PROSE[suffix](text))
    return [match[0] for match in PATTERN.finditer(prose)]


def test_files_are_found():
    some = {'README.md', 'docs/reference/config.md', 'configs/_base_/data_roots.py'}
    assert some | {'tools/quickstart.sh'} <= set(FILES)


@pytest.mark.parametrize(
    ('suffix', 'text', 'wrong'),
    [
        ('.md', 'A colour, unlabelled, optimised.', ['colour', 'unlabelled', 'optimised']),
        ('.md', 'Optimistic on `colour` of [x](#colour), an optimizer, 3 meters.', []),
        ('.md', '```python\ncolour = grey()  # the centre\n```\nMetres', ['centre', 'Metres']),
        ('.md', '`unlabelled=` stays, `mat_metres` too; labelled_pixels; behind', ['behind']),
        ('.py', 'colour = "grey"  # a neighbour\n', ['neighbour']),
        (
            '.py',
            'def f(unlabelled):\n    """Learnt.\n\n    Args:\n        unlabelled: L\n    """',
            ['Learnt'],
        ),
        ('.sh', 'echo colour  # minimise\n', ['minimise']),
    ],
)
def test_prose_is_told_from_code(suffix, text, wrong):
    assert wrong_words(text, suffix) == wrong


@pytest.mark.parametrize('name', FILES)
def test_language(name):
    path = ROOT / name
    found = set(wrong_words(path.read_text(encoding='utf-8'), path.suffix))
    remedies = [WORDS[p] for p in WORDS for word in found if re.fullmatch(p, word, re.I)]
    assert not found, f'{name} has {sorted(found)}; write instead: {remedies}'
