"""Comparison of a written SavedModel with the model it was made of."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_trainkit.serving._signature import Signature, traced

Arrays = dict[str, np.ndarray]


def verified_response(
    folder: pathlib.Path, signature: Signature, examples: Arrays, tolerance: float
) -> Arrays:
    """The model's outputs on `examples`, which the written graph must give as well.

    Compared with all rows, with one and with none. `tolerance` is relative to the
    largest value of an output, or absolute where that is below 1.
    """
    # As `predict` runs it; eagerly, a recurrent layer takes seconds.
    model = traced(signature)
    response = _response(model, signature, examples)
    _check_finite(response, "`examples` are sent through the model and must")
    graph = tf.saved_model.load(str(folder)).signatures["serving_default"]
    _check_names(graph, signature)
    for rows in {len(next(iter(examples.values()))), 1}:
        some = {name: array[:rows] for name, array in examples.items()}
        expected = _response(model, signature, some)
        served = _response(lambda tensors: graph(**tensors), signature, some)
        for name, (source, limit) in signature.choices.items():
            is_tie = _is_tie(expected[source], limit, tolerance)
            served[name] = np.where(is_tie, expected[name], served[name])
        for name in signature.outputs:
            _check_rows(name, expected[name], rows)
            _check_close(name, expected[name], served[name], tolerance)
    for request in signature.edge_cases:
        _check_edge_case(graph, signature, request)
    _check_no_rows(graph, signature, examples, response)
    return response


def _response(function: Callable, signature: Signature, request: Arrays) -> Arrays:
    inputs = signature.inputs
    tensors = {n: tf.constant(a, inputs[n].dtype) for n, a in request.items()}
    return {name: value.numpy() for name, value in function(tensors).items()}


def _is_tie(
    probabilities: np.ndarray, limit: float | None, tolerance: float
) -> np.ndarray:
    """True for choices that the last bits of a probability decide."""
    if limit is not None:  # each is a yes or no of its own
        return np.abs(probabilities - limit) <= tolerance
    ordered = np.sort(probabilities, axis=-1)
    return ordered[..., -1] - ordered[..., -2] <= 2 * tolerance


def _check_finite(response: Arrays, rule: str) -> None:
    for name, array in response.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"{rule} give finite outputs. "
                f"Received: NaN or infinity in the output {name!r}."
            )


def _check_names(graph: Any, signature: Signature) -> None:
    found = set(graph.structured_input_signature[1]), set(graph.structured_outputs)
    declared = set(signature.inputs), set(signature.outputs)
    if found != declared:
        raise ValueError(
            "The names in a written signature are what clients use and must be those "
            f"of the model, {declared}. Received: {found}."
        )


def _check_rows(name: str, array: np.ndarray, rows: int) -> None:
    if array.shape[:1] != (rows,):
        raise ValueError(
            f"The output {name!r} answers each row of a request and must have as many "
            f"rows as the inputs, {rows}. Received: shape={array.shape}."
        )


def _check_close(
    name: str, expected: np.ndarray, served: np.ndarray, tolerance: float
) -> None:
    same = expected.shape == served.shape and expected.dtype == served.dtype
    if same and expected.dtype.kind == "f":
        wide = expected.astype("float64")
        difference = np.max(np.abs(wide - served), initial=0.0)
        same = difference <= tolerance * max(1.0, np.max(np.abs(wide), initial=0.0))
        received = f"a difference of {difference:.3g}"
    else:
        same = same and np.array_equal(expected, served)
        received = (
            f"{served.dtype} {served.shape} for {expected.dtype} {expected.shape}"
        )
    if not same:
        raise ValueError(
            f"The output {name!r} of the written graph is what clients get and must "
            f"equal the model's to {tolerance:.1g} for {len(expected)} rows; look for "
            "randomness, state or Python branches in inference. "
            f"Received: {received}."
        )


def _check_edge_case(graph: Any, signature: Signature, request: Arrays) -> None:
    texts = {name: array.tolist() for name, array in request.items()}
    rule = f"A request such as {texts} reaches a server sooner or later and must"
    try:
        served = _response(lambda tensors: graph(**tensors), signature, request)
    except tf.errors.OpError as error:
        raise ValueError(
            f"{rule} be answered; look at `standardize` and `split` of the "
            "TextVectorization, and for layers that fail on padding alone. "
            f"Received: {' '.join(error.message.split())}."
        ) from error
    _check_finite(served, rule)


def _check_no_rows(
    graph: Any, signature: Signature, examples: Arrays, response: Arrays
) -> None:
    none = {name: array[:0] for name, array in examples.items()}
    wanted = {name: (0, *array.shape[1:]) for name, array in response.items()}
    try:
        served = _response(lambda tensors: graph(**tensors), signature, none)
        received: Any = {name: array.shape for name, array in served.items()}
    except tf.errors.OpError as error:
        received = " ".join(error.message.split())
    if received != wanted:
        raise ValueError(
            "A request of no rows reaches a server sooner or later and must be "
            f"answered by outputs of shapes {wanted}; a TextVectorization needs an "
            "`output_sequence_length` for that, or to be joined as `preprocessing`. "
            f"Received: {received}."
        )
