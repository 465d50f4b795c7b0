"""A recorded request and its response, kept with the model they were checked on.

Both are JSON in the column form of TensorFlow Serving's REST interface, so that the
request can be posted as it stands. Text is a string; bytes that are no UTF-8 are
`{"b64": ...}`.
"""

import base64
import json
import pathlib
from typing import Any

import numpy as np

FOLDER = "assets.extra"  # TensorFlow's name for files that a server leaves alone


def write_golden_request(
    folder: pathlib.Path,
    request: dict[str, np.ndarray],
    response: dict[str, np.ndarray],
) -> None:
    """Writes `golden_request.json` and `golden_response.json`."""
    extra = folder / FOLDER
    extra.mkdir()
    inputs = {name: _plain(array) for name, array in request.items()}
    outputs = {name: _plain(array) for name, array in response.items()}
    body = {"signature_name": "serving_default", "inputs": inputs}
    (extra / "golden_request.json").write_text(json.dumps(body))
    (extra / "golden_response.json").write_text(json.dumps({"outputs": outputs}))


def _plain(array: np.ndarray) -> Any:
    if array.dtype == object:
        return _text(array.tolist())
    return array.tolist()


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(item) for item in value]
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode("ascii")}
