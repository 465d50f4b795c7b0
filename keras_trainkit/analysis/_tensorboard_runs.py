"""Runs that TensorBoard's event files hold."""

import datetime
import pathlib
from typing import Any

from keras_trainkit.analysis._tracked import read_description
from keras_trainkit.analysis.tracked_runs import TrackedRun

EVENTS = "events.out.tfevents*"
# Folders into which Keras' callback divides a run, and what it puts before a name.
_PARTS = {"train": "", "validation": "val_"}
_OF_EPOCHS = "epoch_"


def tensorboard_runs(directory: pathlib.Path) -> list[TrackedRun]:
    """Runs by their folders, relative to the directory."""
    folders: dict[pathlib.Path, list[pathlib.Path]] = {}
    for file in sorted(directory.rglob(EVENTS)):
        own = file.parent.name in _PARTS and file.parent != directory
        root = file.parent.parent if own else file.parent
        parts = folders.setdefault(root, [])
        if file.parent not in parts:
            parts.append(file.parent)
    return [
        _run(root.relative_to(directory).as_posix(), parts)
        for root, parts in folders.items()
    ]


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
            kind = events.SummaryMetadata(tag).plugin_data.plugin_name
            if kind == "text":
                description |= _described(events, tag)
            elif kind == "scalars":
                found = {e.step: _number(e) for e in events.Tensors(tag)}
                times += [e.wall_time for e in events.Tensors(tag)]
                _sort(prefix, tag, found, history, scalars)
        for tag in events.Tags()["scalars"]:  # of torch's writer and other old ones
            found = {e.step: e.value for e in events.Scalars(tag)}
            times += [e.wall_time for e in events.Scalars(tag)]
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
