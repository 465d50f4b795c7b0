"""`SequenceRegressor`: the linear function that its network corrects."""

import keras
import numpy as np
import pytest
from comparing import assert_close
from sklearn import model_selection
from sklearn.linear_model import Ridge, RidgeCV

from keras_trainkit.estimators import SequenceRegressor, _linear_part
from keras_trainkit.estimators._sequence_recipe import chosen_for_measurements

SMALL = {"units": (), "convolutions": ((2, 1),), "epochs": 2, "random_state": 0}
RNG = np.random.default_rng(0)


def windows(rows=80, back=6, ahead=2):
    """Pasts and futures of a series that leaves its range."""
    steps = np.arange(rows + back + ahead - 1)
    series = 0.3 * steps + np.sin(steps) + RNG.normal(size=len(steps)) / 20
    cut = np.lib.stride_tricks.sliding_window_view(series, back + ahead)
    return cut[:, :back], cut[:, back:]


@pytest.fixture(scope="module")
def fits():
    """The windows, and an estimator for each share of the linear function."""
    x, y = windows()
    shares = (0, 0.25, 1, None)
    made = {s: SequenceRegressor(linear_weight=s, **SMALL) for s in shares}
    return x, y, {s: one.fit(x[:60], y[:60], order="rows") for s, one in made.items()}


def test_alone_it_is_ridge_regression_of_the_standardized_past(fits):
    x, y, made = fits
    rows = slice(0, 48)  # a fifth of 60 is validated
    mean, std = x[rows].mean(), x[rows].std()
    centers, spreads = y[rows].mean(axis=0), y[rows].std(axis=0)
    ridge = RidgeCV(48 * 10.0 ** np.arange(-6, 4))
    ridge.fit((x[rows] - mean) / std, (y[rows] - centers) / spreads)
    expected = ridge.predict((x - mean) / std) * spreads + centers
    assert_close(made[1].predict(x), expected, rtol=1e-3)
    assert np.abs(made[1].predict(x[60:]) - y[60:]).max() < 1  # all beyond the range


@pytest.mark.parametrize("folds", [None, 2])
def test_alone_it_trains_no_network_and_has_its_own_losses(folds, tmp_path):
    class Refuses(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise AssertionError("a network is trained")

    x, y = windows(40)
    line = SequenceRegressor(
        linear_weight=1, folds=folds, keras_callbacks=[Refuses()], **SMALL
    )
    line.fit(x, y, None if folds else np.ones(40), order=None if folds else "rows")
    counts = folds or 1
    assert len(line.history_["val_loss"]) == counts
    if folds is None:
        train, validated = slice(0, 32), slice(32, 40)
        spreads = y[train].std(axis=0)
        off = (line.predict(x) - y) / spreads
        found = [line.history_[name][0] for name in ("loss", "val_loss")]
        expected = [np.mean(off[rows] ** 2) for rows in (train, validated)]
        assert_close(found, expected, rtol=1e-2, atol=1e-5)
    assert line.recipe_["linear_weight"] == {"value": 1.0, "reason": "given"}
    line.save(tmp_path / "line")
    loaded = SequenceRegressor.load(tmp_path / "line")
    assert_close(loaded.predict(x), line.predict(x))
    lower, upper = loaded.predict_interval(x, coverage=0.8)
    assert np.all(lower <= upper)


def test_the_penalty_is_the_best_for_groups_that_are_left_out():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(6), 40)
    marks = rng.normal(size=(6, 12))[groups]  # alike within a group, and by chance
    x = marks + rng.normal(size=(240, 12)) / 20
    y = rng.normal(size=6)[groups] + rng.normal(size=240) / 20

    def strength(given):
        line = SequenceRegressor(linear_weight=1, validation=40, **SMALL)
        line.fit(x, y, groups=given)
        kernel, _ = line.model_.get_layer("members").get_weights()
        return np.abs(kernel).sum()

    assert strength(groups) < 0.3 * strength(None)


def test_the_penalty_for_groups_is_that_of_scikit_learn():
    rng = np.random.default_rng(5)
    groups, x = np.repeat(np.arange(5), 12), rng.normal(size=(60, 8))
    y = x[:, :2] @ rng.normal(size=(2, 2)) + rng.normal(size=(60, 2))
    folds = model_selection.LeaveOneGroupOut().split(x, groups=groups)
    expected = np.zeros(10)
    for train, held_out in folds:
        for number, penalty in enumerate(10.0 ** np.arange(-6, 4)):
            ridge = Ridge(48 * penalty).fit(x[train], y[train])
            off = ridge.predict(x[held_out]) - y[held_out]
            expected[number] += np.mean(off**2)
    found = _linear_part._penalty(x, y, None, groups)
    assert found == 10.0 ** (expected.argmin() - 6)


def test_groups_of_which_one_is_trained_on_leave_rows_out_one_by_one():
    x, y = windows(40)
    line = SequenceRegressor(linear_weight=1, validation=0.5, **SMALL)
    line.fit(x, y, groups=np.repeat([0, 1], 20))
    assert np.isfinite(line.predict(x)).all()


def test_a_given_share_is_its_share_of_the_predictions(fits):
    x, _, made = fits
    network, line = made[0].predict(x), made[1].predict(x)
    assert np.abs(network - line).max() > 1
    mixed = 0.75 * network + 0.25 * line
    assert_close(made[0.25].predict(x), mixed, rtol=1e-4, atol=1e-4)
    found = made[0.25].recipe_["linear_weight"]
    assert found == {"value": 0.25, "reason": "given"}


def test_what_validation_clearly_wants_is_taken(fits):
    x, y, made = fits
    assert made[None].recipe_["linear_weight"]["value"] > 0.9  # two epochs teach little
    assert made[None].score(x[60:], y[60:]) > made[0].score(x[60:], y[60:])


def test_beyond_the_range_it_is_not_lost(fits):
    x, y, made = fits
    assert y[60:].min() > y[:48].max()
    for share in (None, 1):
        assert np.abs(made[share].predict(x)[60:] - y[60:]).max() < y.std()
    bare = SequenceRegressor(linear_steps=0, **SMALL).fit(x[:60], y[:60], order="rows")
    assert np.abs(bare.predict(x)[60:] - y[60:]).max() > y.std()
    assert bare.recipe_["linear_weight"]["value"] == 0


def test_conformity_scores_are_those_of_the_mean(fits):
    x, y, made = fits
    for fitted in made.values():
        off = np.abs(fitted.predict(x[48:60]) - y[48:60])
        expected = np.sort(off, axis=0)
        assert_close(fitted.conformity_scores_, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_networks_of_folds_are_averaged_with_the_mean_of_lines():
    x, y = windows()
    shares = {s: SequenceRegressor(linear_weight=s, folds=2, **SMALL) for s in (0, 1)}
    half = SequenceRegressor(linear_weight=0.5, folds=2, **SMALL).fit(x, y)
    network, line = (one.fit(x, y).predict(x) for one in shares.values())
    assert_close(half.predict(x), (network + line) / 2, rtol=1e-4, atol=1e-4)
    assert half.conformity_scores_.shape == (80, 2)
    assert np.abs(line - y).max() < 1


def test_rows_count_by_their_weight():
    x = RNG.normal(size=(80, 3))
    y = np.where(np.arange(80) % 2, x[:, -1], -x[:, -1])
    weights = np.where(np.arange(80) % 2, 1.0, 1e-6)
    line = SequenceRegressor(linear_weight=1, **SMALL).fit(x, y, weights)
    assert_close(line.predict(x), x[:, -1], rtol=1e-2, atol=1e-2)


def test_there_is_none_where_a_line_says_nothing():
    x = RNG.normal(size=(40, 5))
    both = np.concatenate([x, -x])
    y = np.tile(np.abs(x).sum(axis=1), 2)
    pairs = np.tile(np.arange(40), 2)  # opposite rows are validated together
    found = SequenceRegressor(**SMALL).fit(both, y, groups=pairs)
    assert found.recipe_["linear_steps"]["value"] == 0
    assert found.recipe_["linear_weight"]["value"] == 0
    assert "members" in [layer.name for layer in found.model_.layers]


def test_there_is_none_of_another_loss():
    x, y = windows(30)
    found = SequenceRegressor(loss="mae", **SMALL).fit(x, y)
    assert found.recipe_["linear_steps"]["value"] == 0
    assert "the given loss" in found.recipe_["linear_steps"]["reason"]
    assert found.recipe_["linear_weight"]["value"] == 0
    given = SequenceRegressor(loss="mae", linear_steps=3, **SMALL).fit(x, y)
    assert given.recipe_["linear_weight"]["value"] > 0


def test_steps_are_those_that_hold_at_most_so_many_numbers(monkeypatch):
    monkeypatch.setattr("keras_trainkit.estimators._sequence_recipe.MOST_LINEAR", 7)
    x = RNG.normal(size=(30, 6, 3))
    found = SequenceRegressor(**SMALL).fit(x, x[:, -1, 0])
    steps = found.recipe_["linear_steps"]
    assert steps["value"] == 2
    assert "at most 7 numbers" in steps["reason"]
    assert "6 are read" in steps["reason"]
    given = SequenceRegressor(linear_steps=4, **SMALL).fit(x, x[:, -1, 0])
    assert given.recipe_["linear_steps"] == {"value": 4, "reason": "given"}


def test_reasons_count_the_steps_that_are_read_of_long_sequences():
    given = {"units": (), "convolutions": ((2, 1),)}
    for channels, value in ((1, 500), (900, 1)):
        found = chosen_for_measurements(
            80, 1_500, channels, "regression", "default", given
        )
        assert found["max_length"]["value"] == 2_000
        assert found["linear_steps"]["value"] == value
        assert "1,500 are read" in found["linear_steps"]["reason"]


def test_there_is_none_where_the_past_never_changes():
    found = SequenceRegressor(**SMALL).fit(np.ones((40, 5)), RNG.normal(size=40))
    steps = found.recipe_["linear_steps"]
    assert steps["value"] == 0
    assert "no linear function tells" in steps["reason"]


@pytest.mark.parametrize(
    ("rows", "better", "expected"),
    [
        (60, "linear", 0.99),
        (60, "network", 0.0),
        (60, "neither", 0.5),
        (8, "linear", 0.5),
    ],
)
def test_half_unless_enough_rows_agree(rows, better, expected):
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(rows, 2))
    near, far = truth + rng.normal(size=(2, rows, 2)) * [[[0.01]], [[1.0]]]
    if better == "neither":
        near = truth - (far - truth) + rng.normal(size=truth.shape) / 10
    network, line = (far, near) if better == "linear" else (near, far)
    share = _linear_part._share(truth, network, line, None)
    assert share["value"] == pytest.approx(expected, abs=0.01)


def test_few_rows_with_most_of_the_error_may_decide():
    line = np.zeros((60, 1))
    truth = np.where(np.arange(60) % 3 == 0, 2.0, 0.001 * (-1) ** np.arange(60))[
        :, None
    ]
    network = truth + 0.002 * (-1) ** np.arange(60)[:, None]
    share = _linear_part._share(truth, network, line, None)
    assert share["value"] == pytest.approx(0, abs=0.01)


@pytest.mark.slow
def test_few_numbers_of_many_rows_are_fitted(monkeypatch):
    monkeypatch.setattr(_linear_part, "MOST_NUMBERS", 25 * 6)
    x, y = windows()
    line = SequenceRegressor(linear_weight=1, **SMALL).fit(x, y)
    assert np.abs(line.predict(x) - y).max() < 1


def test_rows_of_two_sensors_in_turns_are_both_among_few(monkeypatch):
    monkeypatch.setattr(_linear_part, "MOST_NUMBERS", 249)
    some = np.arange(100)[_linear_part._some(100, 5)]
    assert len(np.unique(some)) == 49
    assert set(some % 2) == {0, 1}
    assert len(np.arange(49)[_linear_part._some(49, 5)]) == 49


@pytest.mark.parametrize("share", [-0.1, 1.1, "half", True, np.nan])
def test_refuses_what_is_no_share(share):
    x, y = windows(30)
    with pytest.raises(ValueError, match="`linear_weight` is the share of the linear"):
        SequenceRegressor(linear_weight=share, **SMALL).fit(x, y)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"linear_steps": -1}, "`linear_steps` is the number of the last steps"),
        ({"linear_steps": 2.0}, "`linear_steps` is the number of the last steps"),
        ({"linear_steps": 0, "linear_weight": 0.5}, "None where there is none"),
        ({"loss": "mae", "linear_weight": 0.5}, "None where there is none"),
    ],
)
def test_refuses_what_is_no_number_of_steps(arguments, words):
    x, y = windows(30)
    with pytest.raises(ValueError, match=words):
        SequenceRegressor(**arguments, **SMALL).fit(x, y)
