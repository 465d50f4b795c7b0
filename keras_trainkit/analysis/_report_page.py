"""Sections of a report, and the page and the JSON that are made of them."""

import base64
import contextlib
import dataclasses
import datetime
import json
import math
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from keras_trainkit._disk import replace, sync
from keras_trainkit.analysis.run_description import plain

_WIDE = 720  # pixels, beyond which a narrow screen scrolls a picture


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows under a header; cells are numbers, texts or None."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclasses.dataclass(frozen=True)
class Picture:
    """An SVG, and what it shows in words."""

    svg: bytes
    text: str

    @property
    def base64(self) -> str:
        return base64.b64encode(self.svg).decode()

    @property
    def width(self) -> int:
        return self._size(b"width")

    @property
    def height(self) -> int:
        return self._size(b"height")

    @property
    def is_wide(self) -> bool:
        """True where a narrow screen would make its letters too small."""
        return self.width > _WIDE

    def _size(self, name: bytes) -> int:
        """In pixels, of which an inch has 96 where matplotlib's points have 72."""
        found = re.search(name + rb'="([\d.]+)pt"', self.svg)
        return round(float(found[1]) * 96 / 72) if found else 600


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report.

    Args:
        title: String.
        text: The verdict, or another sentence.
        numbers: What the JSON holds, in values that `plain` takes.
        findings: `Finding`s.
        pictures: `Picture`s.
        tables: `Table`s.
    """

    title: str
    text: str = ""
    numbers: Any = None
    findings: Sequence[Any] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    number: int = 1

    @property
    def anchor(self) -> str:
        """The title as an id; with a number, where another section has the same."""
        found = re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"
        return found if self.number == 1 else f"{found}-{self.number}"


def drawn(plot: Callable[[pathlib.Path], None], text: str) -> Picture:
    """The picture that a function writes into the path it is given."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "picture.svg")
        plot(path)
        return Picture(path.read_bytes(), text)


def check_report_path(path: Any) -> pathlib.Path:
    """The page's path, called before the work begins."""
    if not isinstance(path, str | pathlib.Path) or (
        pathlib.Path(path).suffix.lower() not in (".html", ".htm")
    ):
        raise ValueError(
            "`path` is the page to write, with a JSON of the same name beside it, and "
            f"must end in .html. Received: path={str(path)!r}."
        )
    path = pathlib.Path(path)
    for file in (path, path.with_suffix(".json")):
        if file.is_dir():
            raise ValueError(
                "`path` is the page to write, with a JSON of the same name beside it, "
                f"and neither may be a folder. Received: {str(file)!r}, a folder."
            )
    return path


def check_title(title: Any) -> None:
    """Refuses what is no text, or has halves of characters, which no file holds."""
    try:
        is_text = bool(title.encode())
    except (AttributeError, UnicodeEncodeError):
        is_text = False
    if not is_text:
        raise ValueError(
            "`title` stands at the top of the page and must be text of whole "
            f"characters. Received: title={title!r}."
        )


def write_report(
    path: pathlib.Path, title: str, verdict: str, sections: Sequence[Section]
) -> pathlib.Path:
    """Writes the page and the JSON, both whole or none of them."""
    made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    beside = path.with_suffix(".json")
    numbers = {
        "title": title,
        "made": made,
        "verdict": verdict,
        "sections": {s.anchor.replace("-", "_"): _numbers(s) for s in sections},
    }
    page = _template().render(
        title=title,
        made=made,
        verdict=verdict,
        sections=sections,
        json_name=beside.name,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain(numbers), indent=2, allow_nan=False)
    parts = [file.with_name(f".{file.name}.new") for file in (beside, path)]
    try:
        parts[0].write_text(text + "\n", encoding="utf-8")
        # Names in the data may have halves of characters, which no file holds.
        parts[1].write_text(page, encoding="utf-8", errors="backslashreplace")
        _replace_both(parts, (beside, path))
    finally:
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return path


def _replace_both(parts: Sequence[pathlib.Path], files: Sequence[pathlib.Path]) -> None:
    """Puts both in their places; where the second fails the first is as it was."""
    first, second = files
    before = first.read_bytes() if first.exists() else None
    sync(parts[1])
    replace(parts[0], first)
    try:
        replace(parts[1], second)
    except OSError:
        if before is None:
            first.unlink()
        else:
            parts[0].write_bytes(before)
            os.replace(parts[0], first)
        raise


def _numbers(section: Section) -> dict[str, Any]:
    found: dict[str, Any] = {"title": section.title, "verdict": section.text}
    if section.numbers is not None:
        found["numbers"] = section.numbers
    return found


def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_trainkit.analysis"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["cell"] = _cell
    environment.filters["words"] = _words
    environment.tests["number"] = _is_number
    return environment.get_template("report.html.jinja")


def _words(text: str) -> Any:
    """The text, with what stands in backticks as code."""
    import markupsafe

    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(markupsafe.escape(text)))
    return markupsafe.Markup(safe)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.5g}"
    return f"{value:,}" if _is_number(value) else str(value)
