"""Bias and variance beside closed forms and sums written out."""

import json
import re

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier

from keras_trainkit import analysis, models

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = X @ [1.0, -2.0] + 0.3 * RNG.normal(size=60)
LABELS = (X[:, 0] > 0).astype(int)


class LeastSquares(keras.Model):
    """A Keras model whose `fit` solves for its weights."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1, use_bias=False)
        self.compile("sgd", "mse", run_eagerly=True)

    def call(self, x):
        return self.dense(x)

    def fit(self, x, y):
        self(x[:1])
        self.dense.kernel.assign(np.linalg.lstsq(x, y, rcond=None)[0][:, None])


def with_a_hidden_input(rows, rng):
    """`y = x + 2 z + noise`, of which models see the first input alone."""
    x, z = rng.normal(size=(2, rows, 1))
    return x, (x + 2 * z)[:, 0], z[:, 0]


@pytest.mark.parametrize(
    "build",
    [
        lambda: LinearRegression(fit_intercept=False),
        pytest.param(LeastSquares, marks=pytest.mark.slow),
    ],
)
def test_of_a_linear_model_it_is_the_closed_form_within_its_standard_error(build):
    """Least squares on m rows of standard normal inputs, of what it does not see noise:
    the weight is unbiased and varies by `noise / (m - p - 1)` (Anderson, 2003)."""
    rng, size, noise = np.random.default_rng(1), 12, 0.5
    resamples = 400 if build is not LeastSquares else 60
    x, y, _ = with_a_hidden_input(size * resamples, rng)
    y += np.sqrt(noise) * rng.normal(size=len(y))
    x_test, y_test, hidden = with_a_hidden_input(50, rng)
    found = analysis.bias_variance(
        build, x, y, x_test, y_test, rows=size, resamples=resamples
    )
    variance = (4 + noise) * (x_test**2).mean() / (size - 1 - 1)
    bias = ((2 * hidden) ** 2).mean()
    expected = {"error": bias + variance, "bias": bias, "variance": variance}
    for name, value in expected.items():
        error = found.standard_errors[name][0]
        assert getattr(found, name)[0] == pytest.approx(value, abs=3 * error)
        assert 0 < error < 0.25 * expected["error"]


@pytest.mark.parametrize("loss", ["squared", "zero_one"])
def test_the_parts_add_up_for_each_size(loss):
    squared = loss == "squared"
    build = KNeighborsRegressor if squared else KNeighborsClassifier
    y = Y if squared else LABELS
    found = analysis.bias_variance(
        build, X[:40], y[:40], X[40:], y[40:], sizes=[1, 4, 16], loss=loss
    )
    assert found.sizes == [1, 4, 16] and found.error.shape == (3,)
    np.testing.assert_allclose(found.error, found.bias + found.variance, atol=1e-12)
    if squared:  # a neighbour alone varies more than the mean of many
        assert found.variance[0] > found.variance[2] > 0
    assert (found.standard_errors["error"] > 0).all()


def constant_labels(labels):
    """A function whose n-th model gives the n-th row of labels."""
    rows = iter(labels)

    class Constant:
        def fit(self, x, y):
            self.labels = next(rows)

        def predict(self, x):
            return np.array(self.labels)

    return Constant


def test_the_vote_and_what_chance_does_to_it_written_out():
    """Three models, four rows: the vote is c, a, b, a; the second answer is b."""
    given = ["cabb", "caba", "bbca"]
    found = analysis.bias_variance(
        constant_labels([list(labels) for labels in given]),
        X[:4],
        Y[:4],
        X[:4],
        list("cbba"),
        resamples=3,
        loss="zero_one",
    )
    # wrong: 1 of 3, 2 of 3, 1 of 3, 1 of 3
    assert found.error[0] == pytest.approx(5 / 12)
    assert found.bias[0] == pytest.approx(1 / 4)
    # adds 1/3 in three rows, takes 1/3 away in the one where the vote is wrong
    assert found.variance[0] == pytest.approx((3 - 1) / 12)
    assert found.helping_variance[0] == pytest.approx(1 / 12)


def test_the_jackknife_of_the_error_is_its_error_of_the_mean():
    values = np.random.default_rng(2).normal(size=(6, 4))
    found = analysis.bias_variance(
        constant_labels(values), X[:4], Y[:4], X[:4], np.zeros(4), resamples=6
    )
    losses = (values**2).mean(axis=1)
    expected = losses.std(ddof=1) / np.sqrt(6)
    assert found.standard_errors["error"][0] == pytest.approx(expected)


def recorded(seen):
    class Recorded(LinearRegression):
        def fit(self, x, y):
            seen.append(x[:, 0].astype(int).tolist())
            return super().fit(x, y)

    return Recorded


@pytest.mark.parametrize(
    ("rows", "apart"), [(10, True), (30, False), (None, False), (60, False)]
)
def test_models_learn_from_rows_of_their_own(rows, apart):
    x = np.arange(60)[:, None]
    seen, again = [], []
    for found, seed in ((seen, 3), (again, np.int64(3))):
        analysis.bias_variance(
            recorded(found), x, Y, x, Y, rows=rows, resamples=6, seed=seed
        )
    assert seen == again
    assert {len(chosen) for chosen in seen} == {rows or 60}
    if rows is None:
        assert all(len(set(chosen)) < 60 for chosen in seen)
    else:
        assert all(len(set(chosen)) == rows for chosen in seen)
    if apart:
        assert len(set(sum(seen, []))) == 60
    assert seen[0] != seen[1]


def compiled(units):
    model = models.mlp((2,), 1, (units,), task="binary")
    model.compile("adam", models.loss_for(model))
    return model


@pytest.mark.usefixtures("eagerly")
def test_keras_models_of_a_task_vote_by_their_classes():
    numbers = np.random.get_state()[1].tolist()
    x, y = X.astype("float32"), LABELS[:, None]
    found = analysis.bias_variance(
        compiled,
        x[:40],
        y[:40],
        x[40:],
        y[40:],
        sizes=[2],
        loss="zero_one",
        resamples=3,
        fit_arguments={"epochs": 1, "verbose": 0, "callbacks": list},
    )
    assert 0 <= found.error[0] <= 1 and found.error[0] * 60 % 1 < 1e-9
    assert np.random.get_state()[1].tolist() == numbers


@pytest.mark.parametrize("form", ["labels", "one-hot", "function"])
def test_labels_come_as_texts_one_hot_or_from_a_function(form):
    y = np.where(LABELS, "yes", "no")
    arguments, y_test = {}, y[40:]
    if form == "one-hot":
        y, y_test = LABELS, np.eye(2)[LABELS[40:]]
    if form == "function":
        arguments["predict"] = lambda model, x: model.predict_proba(x)[:, 1] > 0.5
        y_test = y_test == "yes"
    found = analysis.bias_variance(
        lambda: DecisionTreeClassifier(max_depth=2),
        X[:40],
        y[:40] if form != "one-hot" else LABELS[:40],
        X[40:],
        y_test,
        loss="zero_one",
        resamples=5,
        **arguments,
    )
    assert found.error[0] < 0.2


def parts_of(error, bias, sizes=None):
    error, bias = np.array(error), np.array(bias)
    errors = dict.fromkeys(("error", "bias", "variance"), np.full(len(error), 0.01))
    none = np.zeros(len(error))
    return analysis.ErrorParts(
        "squared", sizes, error, bias, error - bias, errors, none, 20, 100
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (parts_of([2.0], [1.8]), r"of 2 ± 0.01 is 90 % bias .* larger model"),
        (parts_of([2.0], [0.2]), r"is 10 % bias and 90 % variance: more rows"),
        (parts_of([2.0, 1.0], [1, 0.5], [4, 8]), "with 8: 1 .* last size: try larger"),
        (parts_of([1.0, 2.0], [1, 0.5], [4, 8]), "with 4: .* first size: try smaller"),
        (
            parts_of([2.0, 1.0, 4.0], [1.9, 0.5, 1], [2, 4, 8]),
            "lowest with 4: .* Variance is 5 % of it with 2 and 75 % with 8",
        ),
        (parts_of([np.nan], [np.nan]), "No size has a finite error"),
        (parts_of([0.0], [0.0]), "The squared error is 0"),
    ],
)
def test_the_verdict_says_what_lowers_the_error(found, said):
    assert re.search(said, found.verdict)
    assert found.verdict in repr(found)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["rows"] == 100


@pytest.mark.parametrize("sizes", [None, [1, 4, 16]])
def test_it_is_drawn(sizes, tmp_path):
    values = np.array([3.0, 2.0, 2.5])[: len(sizes or [0])]
    parts_of(values, values / 2, sizes).plot(tmp_path / "parts.png")
    assert (tmp_path / "parts.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="`path` is the file to draw into"):
        parts_of(values, values / 2, sizes).plot(tmp_path / "parts")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resamples": 2}, "`resamples` is the number of models and must be"),
        ({"loss": "mse"}, "`loss` is the error that is split and must be"),
        ({"seed": -1}, "`seed` makes the random numbers repeatable and must be"),
        ({"seed": None}, "`seed` makes the random numbers repeatable and must be"),
        ({"rows": 61}, "`rows` is the number of training rows of each model and must"),
        ({"sizes": []}, "`sizes` are what `build` is called with and must be a list"),
        ({"build": LinearRegression()}, "must be a function that returns a new one"),
        ({"build": object}, "must return a compiled one, or another object"),
        ({"y": Y[:9]}, "`y` holds the samples and must be arrays or frames with 60"),
        ({"y_test": ["a"] * 60}, "`y_test` are the answers of the test rows and must"),
        ({"y_test": Y[:9]}, "must be numbers for each of the 60 rows"),
        ({"y_test": np.ones((60, 2))}, "must have the shape of the predictions, (60,)"),
        ({"fit_arguments": {"y": Y}}, "`fit_arguments` are further arguments of `fit`"),
        ({"fit_arguments": [1]}, "must be a dict of name to value, or None"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    given = {"build": LinearRegression, "x": X, "y": Y, "x_test": X, "y_test": Y}
    with pytest.raises(ValueError, match=re.escape(message)):
        analysis.bias_variance(**{**given, **arguments})


def test_a_model_that_is_returned_twice_is_refused():
    one = LinearRegression()
    with pytest.raises(ValueError, match="a model of its own, or it would go on with"):
        analysis.bias_variance(lambda: one, X, Y, X, Y)


def test_a_keras_model_with_one_output_of_no_known_task_needs_a_function():
    with pytest.raises(ValueError, match="^`predict` gives the labels that are"):
        analysis.bias_variance(LeastSquares, X, LABELS, X, LABELS, loss="zero_one")


@pytest.mark.parametrize(
    ("y_test", "message"),
    [
        (np.ones((60, 3)), "must be one label for each, or one-hot"),
        (np.array(["0", "1"] * 30), "must be of the kind that is predicted"),
    ],
)
def test_labels_of_another_kind_are_refused(y_test, message):
    with pytest.raises(ValueError, match=message):
        analysis.bias_variance(
            DecisionTreeClassifier, X, LABELS, X, y_test, loss="zero_one", resamples=3
        )


def test_each_model_gets_the_weights_of_its_rows():
    seen = []

    class Weighted(LinearRegression):
        def fit(self, x, y, sample_weight):
            seen.append((x[:, 0], sample_weight))
            return super().fit(x, y)

    given = {"sample_weight": X[:40, 0]}
    found = (X[:40], Y[:40], X[40:], Y[40:])
    analysis.bias_variance(Weighted, *found, resamples=3, fit_arguments=given)
    assert len(seen) == 3
    for rows, weights in seen:
        np.testing.assert_array_equal(rows, weights)
    given = {"sample_weight": X[:39, 0]}
    with pytest.raises(ValueError, match="sample_weight"):
        analysis.bias_variance(Weighted, *found, resamples=3, fit_arguments=given)


def test_labels_of_the_rows_in_another_order_are_refused():
    table, back = pd.DataFrame(X), pd.Series(Y)[::-1]
    words = "^`{}` belongs to the rows of `{}` by position"
    with pytest.raises(ValueError, match=words.format("y", "x")):
        analysis.bias_variance(LinearRegression, table, back, X, Y)
    with pytest.raises(ValueError, match=words.format("y_test", "x_test")):
        analysis.bias_variance(LinearRegression, X, Y, table, back)
    weights = {"fit_arguments": {"sample_weight": back.abs()}}
    with pytest.raises(ValueError, match=words.format("sample_weight", "x")):
        analysis.bias_variance(LinearRegression, table, Y, X, Y, **weights)
