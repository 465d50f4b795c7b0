"""The built documentation, as a browser shows it: links, errors, widths.

`KERAS_TRAINKIT_SITE` is the folder that `sphinx-build docs FOLDER` has written.
"""

import contextlib
import functools
import html.parser
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import urllib.parse

import pytest

SITE = os.environ.get("KERAS_TRAINKIT_SITE")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (1280, 390)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SITE is None, reason="KERAS_TRAINKIT_SITE names no built site"),
]

# Shows each page in a frame of each width and notes what is wider than the frame.
READER = """<!doctype html><title>Reading</title><pre id="found"></pre><script>
const found = [];
window.note = (frame, problem) => found.push(`${frame.location}: ${problem}`);
async function read(page, width) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  const loaded = new Promise((done) => (frame.onload = done));
  frame.src = page;
  document.body.append(frame);
  await loaded;
  const root = frame.contentDocument.documentElement;
  if (root.clientWidth !== width || root.scrollWidth > width)
    note(frame.contentWindow, `${root.scrollWidth} wide on a screen of ${width}`);
  for (const text of root.querySelectorAll("h1, h2, h3, p, li, dt, dd, figcaption"))
    if (text.clientWidth && text.scrollWidth > text.clientWidth + 1
        && !text.closest("table, pre"))  // which scroll
      note(frame.contentWindow, `cut at ${width}: ${text.innerText.slice(0, 40)}`);
  frame.remove();
}
(async () => {
  for (const page of PAGES) for (const width of WIDTHS) await read(page, width);
  document.getElementById("found").textContent = JSON.stringify(found) + "READ";
})();
</script>"""
# Goes before the scripts of each page. Errors of loading do not bubble, hence `true`.
LISTENER = b"""<head><script>
for (const kind of ["error", "warn"])
  console[kind] = (...words) => parent.note(window, words.join(" "));
addEventListener("unhandledrejection", (e) => parent.note(window, e.reason));
addEventListener("error", (e) =>
  parent.note(window, e.message || `not loaded: ${e.target.outerHTML}`), true);
</script>"""


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


def pages_in(folder):
    pages = sorted(page.resolve() for page in folder.rglob("*.html"))
    return [page for page in pages if "_static" not in page.parts]


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


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site with a listener in each page, and the reader."""

    def do_GET(self):
        path = pathlib.Path(self.translate_path(self.path))
        if self.path == "/reader.html":
            self.send_html(self.reader())
        elif path.suffix == ".html" and path.exists():
            self.send_html(path.read_bytes().replace(b"<head>", LISTENER, 1))
        else:
            super().do_GET()

    def reader(self):
        folder = pathlib.Path(self.directory).resolve()
        pages = [str(page.relative_to(folder)) for page in pages_in(folder)]
        lists = {"PAGES": json.dumps(pages), "WIDTHS": json.dumps(WIDTHS)}
        text = READER
        for name, values in lists.items():
            text = text.replace(f"of {name}", f"of {values}")
        return text.encode()

    def send_html(self, content):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def served(folder):
    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_no_page_is_wider_than_the_screen_or_has_errors(tmp_path):
    with served(SITE) as address:
        done = browse(f"{address}/reader.html", tmp_path)
    found = re.search(r'id="found">(.*)READ</pre>', done.stdout, re.S)
    assert found, done.stderr[-2000:]
    assert json.loads(html.unescape(found[1])) == []


def browse(address, profile):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--dump-dom", "--hide-scrollbars"]
    command += [f"--user-data-dir={profile}/profile", "--virtual-time-budget=600000"]
    return subprocess.run(
        [*command, address], capture_output=True, text=True, timeout=600
    )
