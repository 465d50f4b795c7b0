import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy, take_rows
from keras_trainkit._checks import check_choice, check_count, check_given_seed
from keras_trainkit._row_labels import check_row_order, check_row_orders
from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit.analysis._new_models import NewModels
from keras_trainkit.analysis._restoration import random_numbers_kept
from keras_trainkit.analysis._samples import (
    as_arrays,
    checked_fit_arguments,
    count_rows,
)
from keras_trainkit.analysis.error_parts import ErrorParts
from keras_trainkit.models import predict_proba

_GIVEN = ("x", "y")
_BUILD = "`build` makes each model"
_LEARNED = "it would go on with what the earlier one has learned"
_PARTS = ("error", "bias", "variance", "helping_variance")


def bias_variance(
    build: Callable[..., Any],
    x: Any,
    y: Any,
    x_test: Any,
    y_test: Any,
    *,
    resamples: int = 20,
    rows: int | None = None,
    sizes: Sequence[Any] | None = None,
    loss: str = "squared",
    predict: Callable[[Any, Any], Any] | None = None,
    fit_arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> ErrorParts:
    """Splits the error on test rows into bias and variance, by training many models.

    Each model learns from other rows. Of a test row with the answer `y`, whose
    predictions are `f`:

    | loss       | error           | bias              | variance                    |
    | ---------- | --------------- | ----------------- | --------------------------- |
    | "squared"  | mean (f - y)²   | (mean f - y)²     | mean (f - mean f)²          |
    | "zero_one" | mean [f != y]   | [vote of f != y]  | the error less the bias     |

    The error is the sum of the other two, for each row and for the mean over all rows
    (and outputs). Of "squared" both are free of what few models distort: the variance
    has `resamples - 1` in its denominator, and a share of it is taken from the bias. Of
    "zero_one" the variance of a row is negative where the vote is wrong, since there
    chance can only make it right. Ties of the vote go to the lowest class.

    Args:
        build: Function that returns a new compiled model, or anything else with `fit`
            and `predict`, such as an estimator. It is called with nothing, or with one
            of `sizes`.
        x: Array, DataFrame, or dict or tuple of them: the rows to draw training rows
            from.
        y: Answers `(rows, ...)`, as `fit` takes them.
        x_test: Rows like `x`, on which the error is measured; not among those of `x`.
        y_test: Their answers: numbers of the shape of the predictions, or for
            "zero_one" labels `(rows,)`, as `predict` gives them, or one-hot.
        resamples: Int >= 3. Models of each size.
        rows: Int from 1 to the number of rows. Each model learns from so many, no row
            twice; no row is in two models where `x` has enough for all. None: as many
            as there are, drawn with replacement (bootstrap), which shares most rows and
            so tells too little variance where models depend on few of them.
        sizes: What to call `build` with, such as numbers of units, one curve over all.
            None: `build` is called with nothing.
        loss: "squared" or "zero_one".
        predict: Function of a model and `x_test` that returns predictions: numbers, or
            labels. None: `model.predict`, and for the labels of "zero_one" of a Keras
            model the most probable class.
        fit_arguments: Further arguments of `fit`, by name. "callbacks" may be a
            function that returns new ones. Of "sample_weight", `(rows,)`, each model
            gets the weights of its rows.
        seed: Int >= 0. Of the training rows, and of Keras before each model, which has
            the next. All sizes have the same. Random numbers go on afterwards as if
            none had been drawn.

    Returns:
        `ErrorParts`: the parts with their errors, a verdict and a picture.

    Raises:
        ValueError: An argument is out of range, lengths differ, `build` returns
            something without `fit`, or the same model twice, or predictions do not fit
            `y_test`.

    Example:

    ```python
    from sklearn.neighbors import KNeighborsRegressor  # or a function that compiles

    x = np.random.uniform(size=(300, 2))
    y = np.sin(6 * x[:, 0]) + x[:, 1]
    found = analysis.bias_variance(
        KNeighborsRegressor, x[:200], y[:200], x[200:], y[200:], sizes=[1, 5, 25]
    )
    print(found.verdict)
    ```

    Source: Geman, Bienenstock and Doursat, 1992; for the 0-1 loss Domingos, 2000, "A
    Unified Bias-Variance Decomposition". There the noise of the answers is a part of
    its own; here it is in the bias, since one answer per row does not tell it.
    """
    check_count("resamples", resamples, "is the number of models", at_least=3)
    check_choice("loss", loss, "is the error that is split", ("squared", "zero_one"))
    seed = check_given_seed("seed", seed)
    _check_build(build)
    given = checked_fit_arguments(fit_arguments, _GIVEN)
    data = _read((x, y, given.pop("sample_weight", None)), x_test, y_test, loss)
    if rows is not None:
        purpose = "is the number of training rows of each model"
        check_count("rows", rows, purpose, at_most=data.rows)
    drawn = list(_training_rows(data.rows, rows, resamples, seed))
    new_models = NewModels(_BUILD, _LEARNED)

    def trained(size: Any, number: int) -> Any:
        keras.utils.set_random_seed(seed + number)
        model = build() if sizes is None else build(size)
        _check_usable(model)
        new_models.check_model(model)
        _fit(model, *data.training_part(drawn[number]), given)
        return model

    def predictions(size: Any) -> np.ndarray:
        models = (trained(size, number) for number in range(resamples))
        found = (_predicted(model, data.x_test, loss, predict) for model in models)
        return np.stack([_fitting(predicted, data.answers) for predicted in found])

    with random_numbers_kept():
        found = [
            _with_errors(loss, predictions(size), data.answers)
            for size in ([None] if sizes is None else _checked_sizes(sizes))
        ]
    values, errors = np.moveaxis(np.array(found), 0, -1)
    return ErrorParts(
        loss=loss,
        sizes=None if sizes is None else _checked_sizes(sizes),
        **dict(zip(_PARTS, values, strict=True)),
        standard_errors=dict(zip(_PARTS[:3], errors, strict=False)),
        resamples=resamples,
        rows=data.rows if rows is None else rows,
    )


@dataclasses.dataclass(frozen=True)
class _Data:
    """Rows to draw training rows from, and those on which the error is measured."""

    x: Any
    y: Any
    weights: Any
    x_test: Any
    answers: np.ndarray
    rows: int

    def training_part(self, chosen: np.ndarray) -> tuple[Any, Any, dict[str, Any]]:
        """These rows of x and y, and the arguments of `fit` that go with them."""
        own = {}
        if self.weights is not None:
            own["sample_weight"] = take_rows(self.weights, chosen)
        return take_rows(self.x, chosen), take_rows(self.y, chosen), own


def _read(samples: tuple[Any, Any, Any], x_test: Any, y_test: Any, loss: str) -> _Data:
    """Checks and reads `(x, y, sample_weight)` and the rows for the test."""
    x, y, weights = samples
    check_row_orders(x, "x", y=y, sample_weight=weights)
    check_row_order("y_test", y_test, x_test, "x_test")
    x, y, x_test = as_arrays(x), as_arrays(y), as_arrays(x_test)
    rows = count_rows("x", x, None)
    count_rows("y", y, rows)
    if weights is not None:
        weights = as_arrays(weights)
        count_rows("fit_arguments['sample_weight']", weights, rows)
    tested = count_rows("x_test", x_test, None)
    return _Data(x, y, weights, x_test, _answers(y_test, loss, tested), rows)


def _check_build(build: Any) -> None:
    if not callable(build) or isinstance(build, keras.Model):
        raise ValueError(
            f"{_BUILD} and must be a function that returns a new one. "
            f"Received: {build!r}."
        )


def _checked_sizes(sizes: Any) -> list[Any]:
    if (
        not isinstance(sizes, Sequence | np.ndarray)
        or isinstance(sizes, str)
        or (not len(sizes))
    ):
        raise ValueError(
            "`sizes` are what `build` is called with and must be a list of one or "
            f"more. Received: sizes={sizes!r}."
        )
    return [s.item() if isinstance(s, np.generic) else s for s in sizes]


def _answers(y_test: Any, loss: str, rows: int) -> np.ndarray:
    """Numbers `(rows, outputs)`, or labels `(rows,)`."""
    answers = as_numpy(y_test)
    wanted = "numbers" if loss == "squared" else "labels, or one-hot,"
    right = loss == "zero_one" or answers.dtype.kind in "biuf"
    if not answers.ndim or len(answers) != rows or not right:
        raise ValueError(
            f"`y_test` are the answers of the test rows and must be {wanted} for each "
            f"of the {rows} rows. Received: {answers.dtype} of shape {answers.shape}."
        )
    answers = answers.reshape(rows, -1)
    if loss == "squared":
        return answers.astype("float64")
    if answers.shape[1] > 1:
        if answers.dtype.kind not in "biuf" or (answers.sum(axis=1) != 1).any():
            raise ValueError(
                "`y_test` are the answers of the test rows and must be one label for "
                "each, or one-hot. Received: rows that do not sum to 1."
            )
        return answers.argmax(axis=1)
    return answers[:, 0]


def _training_rows(
    available: int, rows: int | None, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    random = np.random.default_rng(seed)
    if rows is None:
        for _ in range(resamples):
            yield random.integers(available, size=available)
        return
    disjoint = rows * resamples <= available
    order = random.permutation(available)
    for number in range(resamples):
        if disjoint:
            yield order[number * rows : (number + 1) * rows]
        else:
            yield random.choice(available, rows, replace=False)


def _check_usable(model: Any) -> None:
    usable = hasattr(model, "fit") and hasattr(model, "predict")
    if not usable or (isinstance(model, keras.Model) and not model.compiled):
        raise ValueError(
            f"{_BUILD} and must return a compiled one, or another object with `fit` "
            f"and `predict`. Received: {model!r}."
        )


def _fit(
    model: Any, x: Any, y: Any, own: dict[str, Any], given: dict[str, Any]
) -> None:
    arguments = given | own
    if callable(arguments.get("callbacks")):
        arguments["callbacks"] = arguments["callbacks"]()
    release_graphs()
    model.fit(x, y, **arguments)


def _predicted(model: Any, x: Any, loss: str, predict: Any) -> np.ndarray:
    if predict is not None:
        return as_numpy(predict(model, x))
    if not isinstance(model, keras.Model):
        return as_numpy(model.predict(x))
    if loss == "squared":
        return as_numpy(model.predict(x, verbose=0))
    if getattr(model, "task", None) in ("classification", "binary"):
        return predict_proba(model, x, verbose=0).argmax(axis=-1)
    outputs = as_numpy(model.predict(x, verbose=0))
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise ValueError(
            "`predict` gives the labels that are compared and must be a function of a "
            "model and `x_test` where the model has no output for each class and does "
            f"not know its task. Received: None, and outputs {outputs.shape}."
        )
    return outputs.argmax(axis=-1)


def _fitting(predicted: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The predictions in the shape of the answers."""
    if predicted.size != answers.size or len(predicted) != len(answers):
        raise ValueError(
            "`y_test` are the answers of the test rows and must have the shape of the "
            f"predictions, {predicted.shape}. Received: {answers.shape}."
        )
    if (predicted.dtype.kind in "OSU") != (answers.dtype.kind in "OSU"):
        raise ValueError(
            "`y_test` are the answers of the test rows and must be of the kind that is "
            f"predicted, {predicted.dtype}. Received: {answers.dtype}."
        )
    return predicted.reshape(answers.shape)


def _with_errors(
    loss: str, predictions: np.ndarray, answers: np.ndarray
) -> tuple[tuple, np.ndarray]:
    """The `_PARTS`, and their standard errors by the jackknife."""
    parts = _squared if loss == "squared" else _zero_one
    count = len(predictions)
    without = [
        parts(np.delete(predictions, number, axis=0), answers)
        for number in range(count)
    ]
    errors = np.sqrt((count - 1) * np.var(without, axis=0))
    return parts(predictions, answers), errors


def _squared(predictions: np.ndarray, answers: np.ndarray) -> tuple[float, ...]:
    predictions = predictions.astype("float64")
    error = float(((predictions - answers) ** 2).mean())
    variance = float(predictions.var(axis=0, ddof=1).mean())
    of_the_mean = float(((predictions.mean(axis=0) - answers) ** 2).mean())
    return error, of_the_mean - variance / len(predictions), variance, 0.0


def _zero_one(predictions: np.ndarray, answers: np.ndarray) -> tuple[float, ...]:
    wrong = _vote(predictions) != answers
    error, bias = float((predictions != answers).mean()), float(wrong.mean())
    helping = float(((predictions == answers) & wrong).mean())
    return error, bias, error - bias, helping


def _vote(predictions: np.ndarray) -> np.ndarray:
    """The most frequent label of each row, the lowest of several."""
    labels = np.unique(predictions)
    counts = np.array([(predictions == label).sum(axis=0) for label in labels])
    return labels[counts.argmax(axis=0)]
