# Licensed under the Apache License 2.0, see LICENSE.
"""Sphinx settings of the documentation: ``bash tools/build_docs.sh``."""

import re
import sys
from pathlib import Path

from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

import site_contents  # noqa: E402

from mmseg_depthuda.version import __version__  # noqa: E402

project = 'mmseg_depthuda'
release = __version__
html_title = f'{project} {release}'
html_theme = 'furo'

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode']
exclude_patterns = ['_build']
myst_heading_anchors = 4  # links to headings as on GitHub
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
autodoc_preserve_defaults = True
autodoc_member_order = 'bysource'
napoleon_use_rtype = False
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = 'hide'


class Registered(SphinxDirective):
    """``{registered} MODELS``: the package's classes in a registry of MMSeg or of its own."""

    required_arguments = 1
    to_markdown = staticmethod(site_contents.class_reference)

    def run(self) -> list:
        """Parse the generated Markdown in place of the directive."""
        markdown = self.to_markdown(*self.arguments)
        return self.parse_text_to_nodes(markdown, allow_section_headings=True)


class Functions(Registered):
    """``{functions} PACKAGE``: all public functions of a package."""

    to_markdown = staticmethod(site_contents.function_reference)


class SampleFields(Registered):
    """``{sample_fields}``: the table of what travels on a sample."""

    required_arguments = 0
    to_markdown = staticmethod(site_contents.sample_table)


def add_navigation(app, docname: str, source: list[str]) -> None:
    """Make the links of the front page the navigation of the site."""
    if docname == 'index':
        source[0] = site_contents.with_navigation(site_contents.with_links_out(source[0]))


def unindent_sources(app, what, name, obj, options, lines: list[str]) -> None:
    """Join ``Source: ...`` with its indented continuation, which Sphinx takes for a definition."""
    text = re.sub(r'^(Source: .*(?:\n +\S.*)+)', _on_one_line, '\n'.join(lines), flags=re.M)
    lines[:] = text.split('\n')


def _on_one_line(match: re.Match) -> str:
    return ' '.join(match[1].split())


def resolve_short_name(app, env, node, contnode):
    """Link :class:`TeacherEMA` from any module, as long as the name is the only one."""
    python = env.domains['py']
    target = node.get('reftarget', '')
    matches = [name for name in python.objects if name.endswith(f'.{target}')]
    if node.get('refdomain') != 'py' or len(matches) != 1:
        return None
    return make_refnode(
        app.builder, node['refdoc'], python.objects[matches[0]].docname, matches[0], contnode
    )


def setup(app) -> None:
    """Register what the pages use beyond MyST."""
    app.add_directive('registered', Registered)
    app.add_directive('functions', Functions)
    app.add_directive('sample_fields', SampleFields)
    app.connect('source-read', add_navigation)
    app.connect('autodoc-process-docstring', unindent_sources)
    app.connect('missing-reference', resolve_short_name)
