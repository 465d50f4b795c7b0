"""Pages in a browser: what is wider than the screen, not loaded, an error."""

import contextlib
import functools
import html
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import threading

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (1280, 390)

# Shows each page in a frame of each width and notes what is wider than the frame.
READER = """<!doctype html><title>Reading</title><pre id="found"></pre><script>
const found = [];
const further = (root, frame) => { FURTHER };
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
  for (const problem of further(root, frame.contentWindow))
    note(frame.contentWindow, problem);
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


def problems_in(folder, profile, further="return []", flags=()):
    """What is wrong with the pages of a folder, at each of `WIDTHS`.

    Args:
        further: JavaScript that returns further problems of a `root` and its `frame`.
        flags: Further ones of Chromium.
    """
    with served(folder, further) as address:
        done = browse(f"{address}/reader.html", profile, flags)
    found = re.search(r'id="found">(.*)READ</pre>', done.stdout, re.S)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


def pages_in(folder):
    pages = sorted(page.resolve() for page in folder.rglob("*.html"))
    return [page for page in pages if "_static" not in page.parts]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves pages with a listener in each, and the reader."""

    further = "return []"

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
        text = READER.replace("FURTHER", self.further)
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
def served(folder, further):
    own = type("OwnHandler", (Handler,), {"further": further})
    handler = functools.partial(own, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def browse(address, profile, flags=()):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--dump-dom", "--hide-scrollbars", *flags]
    command += [f"--user-data-dir={profile}/profile", "--virtual-time-budget=600000"]
    return subprocess.run(
        [*command, address], capture_output=True, text=True, timeout=600
    )
