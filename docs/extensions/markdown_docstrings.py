"""Docstrings in Markdown, with sections as in Keras, for autodoc.

The first sentence stays reStructuredText, since autosummary takes it from there; the
rest goes to MyST through a directive. `Args:`, `Returns:` and `Raises:` become field
lists, other sections a heading with a list or with what stands there.
"""

import inspect
import re

import keras
from docutils.utils import new_document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.util.docutils import SphinxDirective

FIELDS = {"Args": "param", "Returns": "returns", "Raises": "raises"}
SECTION = re.compile(r"((?:Args|Returns|Raises|Attributes|Call arguments|Example).*):$")
LEAD = re.compile(r"(Source|Input shape|Output shape|Example): (.*)")
ENTRY = re.compile(r"(\S[^:]*): (.*)")
HOSTS = (keras.Model, keras.callbacks.Callback, keras.utils.PyDataset)
HOOKS = re.compile(r"on_|set_params|set_model|build|call|get_config|from_config")


def setup(app):
    app.add_directive("markdown", Markdown)
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", short)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True}


class Markdown(SphinxDirective):
    """Its content parsed by MyST, in the place where it stands."""

    has_content = True

    def run(self):
        document = new_document(self.env.doc2path(self.env.docname))
        document.settings = self.state.document.settings
        document.reporter = self.state.document.reporter
        MystParser().parse("\n".join(self.content), document)
        for target in document.ids:
            self.state.document.ids.setdefault(target, document.ids[target])
        return document.children


def process(app, what, name, obj, options, lines):
    first, rest = parted(lines)
    if rest:
        rest = [*whole_rows(markdown(rest))]
        rest = ["", ".. markdown::", "", *(f"   {line}".rstrip() for line in rest)]
    lines[:] = [*(re.sub(r"`([^`]+)`", r"``\1``", line) for line in first), *rest, ""]


def parted(lines):
    """The first paragraph and the rest."""
    end = next((n for n, line in enumerate(lines) if not line.strip()), len(lines))
    return lines[:end], lines[end:]


def markdown(lines):
    """Sections of a docstring as MyST understands them."""
    number = 0
    while number < len(lines):
        line = lines[number]
        block = indented(lines, number + 1)
        if line.startswith("```"):
            end = lines.index("```", number + 1)
            yield from lines[number : end + 1]
            number = end + 1
        elif line.startswith(">>> "):
            block = until_blank(lines, number)
            yield from ["```pycon", *block, "```"]
            number += len(block)
        elif (match := SECTION.match(line)) and block:
            yield from section(match[1], unindented(block))
            number += 1 + len(block)
        elif match := SECTION.match(line):
            yield from rubric(match[1])
            number += 1
        elif match := LEAD.match(line):
            # Lines that go on are indented where they follow a shape.
            yield from ["", f"**{match[1]}:** {match[2]}"]
            yield from (part.strip() for part in block if part.strip())
            number += 1 + len(block)
        else:
            yield line
            number += 1


def whole_rows(lines):
    """Rows of tables whose text goes on in the next line, which has no first cell."""
    row = None
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if row and cells and goes_on(cells):
            pairs = zip(row, cells, strict=True)
            row = [" ".join(filter(None, pair)) for pair in pairs]
            continue
        if row:
            yield f"| {' | '.join(row)} |"
        row = cells if line.startswith("|") else None
        if not row:
            yield line
    if row:
        yield f"| {' | '.join(row)} |"


def goes_on(cells):
    """Not a row of its own, whose other cells would all be full."""
    return not cells[0] and (len(cells) == 2 or "" in cells[1:])


def section(title, block):
    kind = FIELDS.get(title)
    if kind is None:
        yield from rubric(title)
        yield from entries(block, "- `{}`: {}", 2)
    elif kind == "returns":
        yield from ["", f":{kind}: {block[0]}", *spaced(block[1:], 4), ""]
    elif ENTRY.match(block[0]):
        yield from ["", *entries(block, f":{kind} {{}}: {{}}", 4), ""]
    else:
        yield from ["", f":{kind}: {block[0]}", *spaced(block[1:], 4), ""]


def entries(block, form, indent):
    """`name: text` and the lines that go on, each entry in `form`."""
    for line in block:
        match = None if line.startswith(" ") else ENTRY.match(line)
        if match:
            yield form.format(match[1].replace("`", ""), match[2])
        else:
            yield from spaced([line.strip()], indent)


def rubric(title):
    return ["", f"~~~{{rubric}} {title}", "~~~", ""]


def spaced(lines, indent):
    return [" " * indent + line if line.strip() else "" for line in lines]


def indented(lines, start):
    """The lines from `start` on that are indented, with blank ones between them."""
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith("  ")):
        end += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return lines[start:end]


def unindented(block):
    return [line[4:] if line.startswith("    ") else line.lstrip() for line in block]


def until_blank(lines, start):
    return parted(lines[start:])[0]


def short(app, what, name, obj, options, signature, returned):
    """The signature without types, of a class that of its constructor.

    Keras' layers hide theirs behind a `__new__` that takes anything.
    """
    if what == "class":
        parameters = inspect.signature(obj).parameters.values()
        plain = [p.replace(annotation=p.empty) for p in parameters]
        return str(inspect.Signature(plain)), None
    return None


def skip(app, what, name, obj, skipped, options):
    """Members of ours with a docstring of ours, hooks of Keras left out."""
    if what != "class":
        return skipped
    function = getattr(obj, "fget", obj)
    module = getattr(function, "__module__", None) or ""
    if module.startswith("keras_tuner") and name == "get_best_models":
        return False
    ours = module.startswith("keras_trainkit") and getattr(obj, "__doc__", None)
    copied = any(
        getattr(getattr(host, name, None), "__doc__", None) == obj.__doc__
        for host in HOSTS
    )
    return not ours or copied or bool(HOOKS.match(name)) or name.startswith("_")
