"""README, CONTRIBUTING and CHANGELOG as pages of the site, with links that fit it."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
PAGES = {"index": "README.md", "contributing": "CONTRIBUTING.md"}
PAGES["changelog"] = "CHANGELOG.md"


def setup(app):
    app.connect("source-read", read)
    return {"parallel_read_safe": True}


def read(app, docname, source):
    up = "../" * docname.count("/")
    if docname in PAGES:
        file = ROOT / PAGES[docname]
        app.env.note_dependency(file)
        source[0] = from_the_root(file.read_text()) + "\n" + source[0]
    for page, name in PAGES.items():
        source[0] = source[0].replace(f"]({up}../{name})", f"]({up}{page}.md)")


def from_the_root(text):
    """Links of a file in the repository's root, as of one in docs/."""
    text = re.sub(r"\]\((?!docs/|https?:|#)", "](../", text)
    text = text.replace("](docs/", "](")
    return text.replace("](../examples)", "](examples/index)")
