"""Names of public parts that stand as code in a text lead to the reference."""

import importlib
import pathlib
import re

from docutils import nodes
from sphinx.addnodes import pending_xref

FAMILIES = sorted(
    file.parent.name
    for file in (pathlib.Path(__file__).parents[2] / "keras_trainkit").glob(
        "[a-z]*/__init__.py"
    )
)
PATH = rf"(?:keras_trainkit\.)?({'|'.join(FAMILIES)})\.(\w+)((?:\.\w+)?)"
NAME = re.compile(PATH + r"(?:\(.*\))?")


def setup(app):
    app.connect("doctree-read", link)
    return {"parallel_read_safe": True}


def link(app, doctree):
    docname = app.env.docname
    place = re.match(r"(?:families/|api/keras_trainkit\.)(\w+)", docname)
    for literal in [*doctree.findall(nodes.literal)]:
        target = target_of(literal.astext(), place and place[1])
        if target and not f"api/{target}".startswith(docname) and is_free(literal):
            reference = pending_xref(
                "", refdomain="py", reftype="obj", reftarget=target, refdoc=docname
            )
            literal.replace_self(reference)
            reference += literal


def is_free(node):
    """Not within a link, a heading or a signature already."""
    while node is not None:
        if isinstance(node, (nodes.reference, pending_xref, nodes.title)):
            return False
        node = node.parent
    return True


def target_of(text, family):
    match = NAME.fullmatch(text)
    if match and match[2] in public(match[1]):
        return f"keras_trainkit.{match[1]}.{match[2]}{match[3]}"
    match = re.fullmatch(r"(\w+)(?:\(.*\))?", text)
    if match and family in FAMILIES and match[1] in public(family):
        return f"keras_trainkit.{family}.{match[1]}"
    return None


def public(family):
    return importlib.import_module(f"keras_trainkit.{family}").__all__
