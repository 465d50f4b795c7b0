"""Runs that TensorBoard's event files hold."""

import datetime
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_trainkit.analysis._tracked import pass_over, read_description
from keras_trainkit.analysis.tracked_runs import TrackedRun

EVENTS = "events.out.tfevents*"
# Folders into which Keras' callback divides a run, and what it puts before a name.
_PARTS = {"train": "", "validation": "val_"}
_OF_EPOCHS = "epoch_"


def tensorboard_runs(directory: pathlib.Path) -> list[TrackedRun]:
    """Runs by their folders, relative to the directory.

    What cannot be read of them is left out with a warning: a file or its end, a series
    that is none of numbers, a run.
    """
    folders: dict[pathlib.Path, list[pathlib.Path]] = {}
    for file in sorted(directory.rglob(EVENTS)):
        if not _is_readable(file):
            continue
        own = file.parent.name in _PARTS and file.parent != directory
        root = file.parent.parent if own else file.parent
        parts = folders.setdefault(root, [])
        if file.parent not in parts:
            parts.append(file.parent)
    found = []
    for root, parts in folders.items():
        try:
            found.append(_run(root.relative_to(directory).as_posix(), parts))
        except Exception as error:  # of whatever a broken file brings about
            pass_over(root, error)
    return found


def _is_readable(file: pathlib.Path) -> bool:
    """True if any of it can be read; warns where that is less than all.

    TensorBoard's reader stops without a word at a record whose sums are wrong. Each
    record has a head of 12 bytes, and 4 behind it.
    """
    from tensorboard.backend.event_processing.event_file_loader import (
        RawEventFileLoader,
    )

    try:
        size = file.stat().st_size
        read = sum(16 + len(record) for record in RawEventFileLoader(str(file)).Load())
    except Exception as error:  # of TensorFlow, if that is there, or of the system
        pass_over(file, error)
        return False
    if read < size:
        why = f"damaged, or not yet written, behind byte {read} of {size}"
        pass_over(file if not read else f"The end of {file}", ValueError(why))
    return read > 0


def _run(name: str, parts: list[pathlib.Path]) -> TrackedRun:
    history: dict[str, list[float]] = {}
    scalars: dict[str, dict[int, float]] = {}
    parameters: dict[str, Any] = {}
    description: dict[str, Any] = {}
    times: list[float] = []
    for part in parts:
        prefix = _PARTS.get(part.name, "")
        events = _events(part)
        for tag in events.Tags()["tensors"]:
            if _kind_of(events, tag) == "text":
                description |= _described(events, tag)
        for tag, found, moments in _curves_in(events, part):
            times += moments
            _sort(prefix, tag, found, history, scalars)
        parameters |= _hyperparameters(events)
    started = min(times, default=None)
    return TrackedRun(
        name=name,
        source="TensorBoard",
        started=None if started is None else _moment(started),
        seconds=max(times) - min(times) if times else None,
        parameters={**description.get("parameters", {}), **parameters},
        history=history,
        scalars={
            tag: (sorted(found), [found[step] for step in sorted(found)])
            for tag, found in scalars.items()
        },
        description=description,
    )


def _events(folder: pathlib.Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), {"tensors": 0, "scalars": 0})
    events.Reload()
    return events


def _kind_of(events: Any, tag: str) -> str:
    return events.SummaryMetadata(tag).plugin_data.plugin_name


def _curves_in(
    events: Any, folder: pathlib.Path
) -> Iterator[tuple[str, dict[int, float], list[float]]]:
    """Of each curve its tag, its numbers by step, and when they were written."""
    for tag in events.Tags()["tensors"]:
        if _kind_of(events, tag) != "scalars":
            continue
        try:
            found = {e.step: _number(e) for e in events.Tensors(tag)}
        except (TypeError, ValueError) as error:
            pass_over(f"{tag!r} of the run in {folder}", error)
            continue
        yield tag, found, [e.wall_time for e in events.Tensors(tag)]
    for tag in events.Tags()["scalars"]:  # of torch's writer and other old ones
        found = {e.step: e.value for e in events.Scalars(tag)}
        yield tag, found, [e.wall_time for e in events.Scalars(tag)]


def _sort(
    prefix: str,
    tag: str,
    found: dict[int, float],
    history: dict[str, list[float]],
    scalars: dict[str, dict[int, float]],
) -> None:
    """Values of epochs into the history, others beside it."""
    if tag.startswith(_OF_EPOCHS):
        name = prefix + tag.removeprefix(_OF_EPOCHS)
        history[name] = [found[step] for step in sorted(found)]
    else:
        scalars[prefix + tag] = found


def _number(event: Any) -> float:
    from tensorboard.util.tensor_util import make_ndarray

    return float(make_ndarray(event.tensor_proto))


def _described(events: Any, tag: str) -> dict[str, Any]:
    """A description that was written as a text; nothing for other texts."""
    from tensorboard.util.tensor_util import make_ndarray

    texts = make_ndarray(events.Tensors(tag)[-1].tensor_proto)
    return read_description(texts.item()) if texts.size == 1 else {}


def _hyperparameters(events: Any) -> dict[str, Any]:
    from tensorboard.plugins.hparams import plugin_data_pb2

    try:
        contents = events.PluginTagToContent("hparams").values()
    except KeyError:
        return {}
    found: dict[str, Any] = {}
    for content in contents:
        data = plugin_data_pb2.HParamsPluginData.FromString(content)
        for name, value in data.session_start_info.hparams.items():
            kind = value.WhichOneof("kind")
            found[name] = None if kind is None else getattr(value, kind)
    return found


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
