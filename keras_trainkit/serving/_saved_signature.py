"""The signature in the file of a SavedModel, compared with that of another version."""

import pathlib
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

FILE = "saved_model.pb"


def check_same_signature(draft: pathlib.Path, newest: pathlib.Path) -> None:
    """Refuses a `draft` that clients of `newest` could not use."""
    if not (newest / FILE).is_file():
        return
    before, now = _signature(newest), _signature(draft)
    if before != now:
        raise ValueError(
            "`directory` holds the versions of one served model, and a new one must "
            f"take and give what the newest, {newest.name}, does, since its clients go "
            "on asking; for another model take another directory, and to change what "
            "clients see, `new_signature=True`. "
            f"Received: {now}, where the newest has {before or 'no readable graph'}."
        )


def _signature(folder: pathlib.Path) -> dict[str, dict[str, str]]:
    saved_model = saved_model_pb2.SavedModel()
    try:
        saved_model.ParseFromString((folder / FILE).read_bytes())
    except DecodeError:
        return {}
    for graph in saved_model.meta_graphs:
        served = graph.signature_def.get("serving_default")
        if served is not None:
            return {"inputs": _named(served.inputs), "outputs": _named(served.outputs)}
    return {}


def _named(tensors: Any) -> dict[str, str]:
    return {name: _described(tensors[name]) for name in sorted(tensors)}


def _described(tensor: Any) -> str:
    dtype = types_pb2.DataType.Name(tensor.dtype).removeprefix("DT_").lower()
    shape = tensor.tensor_shape
    if shape.unknown_rank:
        return f"{dtype} of any shape"
    sizes = [None if axis.size < 0 else axis.size for axis in shape.dim]
    return f"{dtype} {tuple(sizes)}"
