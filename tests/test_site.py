"""The built documentation, as a browser shows it: links, errors, widths.

`KERAS_TRAINKIT_SITE` is the folder that `sphinx-build docs FOLDER` has written.
"""

import html.parser
import os
import pathlib
import re
import urllib.parse

import pytest
from browser import CHROMIUM, pages_in, problems_in

SITE = os.environ.get("KERAS_TRAINKIT_SITE")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SITE is None, reason="KERAS_TRAINKIT_SITE names no built site"),
]


class Links(html.parser.HTMLParser):
    """Targets and ids of a page."""

    def __init__(self, page):
        super().__init__()
        self.targets, self.ids = [], set()
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids.add(attributes.get("id") or attributes.get("name"))
        target = attributes.get("href") or attributes.get("src")
        if target and tag in ("a", "link", "script", "img"):
            self.targets.append(target)


def pages():
    return {page: Links(page) for page in pages_in(pathlib.Path(SITE))}


def test_internal_links_are_alive():
    found = pages()
    assert len(found) > 80
    dead = []
    for page, links in found.items():
        for target in links.targets:
            url = urllib.parse.urlsplit(target)
            if url.scheme or url.netloc or not (url.path or url.fragment):
                continue
            path = urllib.parse.unquote(url.path)
            file = (page.parent / path).resolve() if path else page
            fragment = urllib.parse.unquote(url.fragment)
            ids = found[file].ids if file in found else {fragment}
            if not file.exists() or (fragment and fragment not in ids):
                dead.append(f"{page.name}: {target}")
    assert not dead


def test_pages_need_nothing_from_elsewhere():
    foreign = re.compile(r"<(?:script|link|img)[^>]*https?://[^>]*>")
    for page in pages():
        assert not foreign.findall(page.read_text()), page.name


def test_no_page_shows_its_markup():
    for page in pages():
        found = re.findall(r":param |\{rubric\}|\{figure\}|^\| ---", page.read_text())
        assert not found, page.name


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_no_page_is_wider_than_the_screen_or_has_errors(tmp_path):
    assert problems_in(SITE, tmp_path) == []
