"""Draws the pictures of pages anew: runs their blocks, keeps what they write.

    python docs/extensions/page_pictures.py gradients sensitivity

A page shows `static/pictures/NAME.png` where a block of it writes `NAME.png`.
"""

import os
import pathlib
import re
import sys
import tempfile

from PIL import Image

DOCS = pathlib.Path(__file__).parents[1]
FENCE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def draw(page):
    text = (DOCS / f"{page}.md").read_text()
    shown = re.findall(r"static/pictures/(\w+\.png)", text)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        names = {"__name__": page}
        for block in FENCE.findall(text):
            exec(compile(block, page, "exec"), names)
        for name in shown:
            few = Image.open(name).convert("RGB").quantize(64)  # a third of the bytes
            few.save(DOCS / "static" / "pictures" / name, optimize=True)
        os.chdir(DOCS)


if __name__ == "__main__":
    (DOCS / "static" / "pictures").mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:]:
        draw(name)
