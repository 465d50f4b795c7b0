import collections
import json
import pathlib
import types

import keras
import numpy as np
import pytest

from keras_trainkit import layers, models
from keras_trainkit.analysis import Finding, diagnose
from keras_trainkit.analysis._baseline import baseline_of
from keras_trainkit.analysis._codes import CODES

NAN = float("nan")
GOOD = {
    "loss": [1.0, 0.6, 0.4, 0.3, 0.25, 0.23, 0.22, 0.22, 0.22, 0.22],
    "val_loss": [1.1, 0.7, 0.5, 0.35, 0.27, 0.25, 0.24, 0.24, 0.24, 0.24],
}
OVERFITTED = {
    "loss": [1.0, 0.6, 0.4, 0.3, 0.22, 0.15, 0.1, 0.06, 0.03, 0.02],
    "val_loss": [1.1, 0.8, 0.6, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8],
}


def seen(**changes):
    """What `callbacks.GradientMonitor` keeps."""
    kept = {"steps": [50, 100], "gradient_norms": {}, "update_ratios": {}}
    kept |= {"dead_shares": {}, "saturated_shares": {}, "finding": None}
    return types.SimpleNamespace(**{**kept, **changes})


def test_a_curve_that_levels_off_near_training_is_a_good_fit():
    found = diagnose(GOOD, baseline=1.0)
    assert found.verdict == "good fit"
    assert found.codes == ["KTK017"]
    assert found.findings[0].severity == "good"


def test_overfitting_names_the_epoch_after_the_lowest_validation_loss():
    found = diagnose(OVERFITTED)
    assert found.verdict in ("overfitting from epoch 5", "overfitting from epoch 6")
    assert found.findings[0].numbers["epoch"] in (5, 6)
    assert 0.5 <= found.findings[0].numbers["lowest"] < 0.6


def test_a_finding_has_the_rule_the_numbers_and_one_action():
    finding = diagnose(OVERFITTED).findings[0]
    assert finding.code == "KTK008"
    assert "rises from 0.5" in finding.why
    assert finding.threshold == CODES["KTK008"].rule
    assert "EarlyStopping" in finding.action


@pytest.mark.parametrize("series", ["loss", "val_loss"])
@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_the_first_epoch_without_a_finite_loss_is_named(series, value):
    run = {name: list(values) for name, values in GOOD.items()}
    run[series][6] = value
    assert diagnose(run).verdict == "diverged in epoch 7"


def test_epochs_count_on_after_a_resume():
    run = types.SimpleNamespace(history={"loss": [3.0, NAN]}, epoch=[7, 8])
    assert diagnose(run).verdict == "diverged in epoch 9"


def test_muted_codes_are_left_out_and_named():
    found = diagnose(OVERFITTED, mute=["KTK008"])
    assert "KTK008" not in found.codes
    assert found.muted == ("KTK008",)
    assert "muted: KTK008" in str(found)


def test_muting_a_grave_finding_does_not_make_a_good_fit():
    assert diagnose(OVERFITTED, mute="KTK008").verdict == "nothing found"


def test_the_gravest_stands_first():
    run = {"loss": [9.0, *[1.0] * 9], "val_loss": [1.0] * 10}
    found = diagnose(run, baseline=1.0, validation_rows=7)
    assert found.codes == sorted(found.codes)
    assert found.codes[0] == "KTK005"
    assert {"KTK007", "KTK018"} < set(found.codes)


def test_the_report_reads_and_goes_into_a_json(tmp_path):
    run = {"loss": [1.0, NAN, 2.0]}
    found = diagnose(run)
    text = str(found)
    assert text.splitlines()[0] == "diverged in epoch 2"
    assert "[KTK001]" in text
    assert max(map(len, text.splitlines())) <= 88
    found.to_json(tmp_path / "found.json")
    read = json.loads((tmp_path / "found.json").read_text())
    assert read == found.to_dict()
    assert read["findings"][0]["numbers"] == {"epoch": 2, "loss": "nan"}


def test_an_error_in_writing_leaves_the_old_json(tmp_path, monkeypatch):
    path = tmp_path / "found.json"
    path.write_text("old")

    def written_in_part(file, text, **arguments):
        file.write_bytes(b"a part")
        raise OSError("no space left")

    found = diagnose(GOOD)
    monkeypatch.setattr(pathlib.Path, "write_text", written_in_part)
    with pytest.raises(OSError, match="no space"):
        found.to_json(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_validation_accuracy_tells_how_few_rows_it_comes_from():
    run = {**GOOD, "val_accuracy": np.array([4, 5, 7, 9, 9, 10, 9, 10, 8, 9]) / 11}
    found = diagnose(run)
    assert found.codes[0] == "KTK005"
    assert found.findings[0].numbers == {"validation_rows": 11}


@pytest.mark.parametrize(("rows", "is_found"), [(49, True), (50, False)])
def test_fifty_rows_are_enough_to_validate(rows, is_found):
    found = diagnose(GOOD, validation_rows=rows)
    assert ("KTK005" in found.codes) == is_found


def test_without_validation_there_is_no_good_fit():
    assert diagnose({"loss": GOOD["loss"]}).verdict == "no validation data"


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.6, 1.0])
@pytest.mark.parametrize("epochs", [10, 20, 40])
def test_a_steep_smooth_fall_is_no_noise(rate, epochs):
    falling = np.exp(-rate * np.arange(epochs)) + 1e-6
    found = diagnose({"loss": falling, "val_loss": 1.05 * falling}, baseline=1.0)
    assert "KTK006" not in found.codes


def codes_of_noisy_runs(epochs, noise, runs=200):
    """How often each code is found in runs that have levelled off."""
    rng = np.random.default_rng(epochs)
    level = 0.3 + 0.7 * np.exp(-8 * np.arange(epochs) / epochs)
    found = collections.Counter()
    for _ in range(runs):
        training = 0.95 * level * (1 + 0.01 * rng.normal(size=epochs))
        validation = level * (1 + noise * rng.normal(size=epochs))
        curves = {"loss": training, "val_loss": validation}
        found.update(diagnose(curves, baseline=1.0).codes)
    return {code: count / runs for code, count in found.items()}


@pytest.mark.parametrize("epochs", [15, 30, 60, 120])
def test_what_chance_makes_of_a_good_fit_is_rarely_called_anything_else(epochs):
    found = codes_of_noisy_runs(epochs, noise=0.05)
    assert found["KTK017"] > 0.85
    assert found.get("KTK008", 0) <= 0.015


@pytest.mark.parametrize("epochs", [15, 30, 60])
def test_noise_is_told_and_no_trend_is_read_into_it(epochs):
    found = codes_of_noisy_runs(epochs, noise=0.2)
    assert found["KTK006"] > 0.85
    assert max(found.get(code, 0) for code in ("KTK008", "KTK011")) < 0.05


def test_few_epochs_show_no_trend():
    assert diagnose({"loss": [3, 2, 1], "val_loss": [3, 2, 1]}).codes == ["KTK022"]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([1.0, 3.0, 8.0, 4.0], 6.5),  # mean 4; squares 9, 1, 16, 0
        ([0, 1, 1, 1], 0.5623351),  # -(ln(1/4) + 3 ln(3/4)) / 4
        ([[1.0, 0.0], [0.0, 1.0]], 0.6931472),  # ln 2
        (["a", "b", "a", "b"], 0.6931472),
    ],
)
def test_baseline_is_computed_from_targets(targets, expected):
    run = {"loss": [9 * expected] * 9, "val_loss": [9 * expected] * 9}
    found = diagnose(run, baseline=np.array(targets))
    numbers = next(f.numbers for f in found.findings if f.code == "KTK018")
    assert numbers["baseline"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mae", 2.0),  # from the median 3.5: 2.5, 0.5, 4.5, 0.5
        ("mean_squared_error", 6.5),
        (keras.losses.MeanSquaredError(), 6.5),
    ],
)
def test_baseline_is_measured_by_the_loss_of_the_model(loss, expected):
    model = models.mlp((2,), 1, (3,))
    model.compile("sgd", loss)
    found = diagnose({"loss": [90.0] * 9}, model, baseline=np.array([1.0, 3, 8, 4]))
    numbers = next(f.numbers for f in found.findings if f.code == "KTK018")
    assert numbers["baseline"] == pytest.approx(expected, rel=1e-5)


def test_a_model_tells_its_rate_and_its_size():
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.125), "mse")
    found = diagnose({"loss": [1.0, NAN]}, model, rows=14)
    assert found.codes == ["KTK001", "KTK020"]
    assert found.findings[0].numbers["learning_rate"] == 0.125
    assert found.findings[1].numbers == {"parameters": 15, "rows": 14}
    assert diagnose({"loss": [1.0, NAN]}, model, rows=15).codes == ["KTK001"]


@pytest.mark.parametrize(
    ("kind", "code", "verdict"),
    [
        ("nan", "KTK002", "gradients turn NaN in dense_3"),
        ("exploding", "KTK002", "gradients explode in dense_3"),
        ("vanishing", "KTK003", "gradients vanish in dense_3"),
    ],
)
def test_what_a_monitor_found_comes_first(kind, code, verdict):
    told = types.SimpleNamespace(
        kind=kind, layer="dense_3", step=70, value=0.4, remedy="-"
    )
    found = diagnose(GOOD, monitor=seen(finding=told))
    assert (found.codes, found.verdict) == ([code], verdict)
    assert found.findings[0].numbers == {"step": 70, "value": 0.4}


@pytest.mark.parametrize(
    ("kept", "code", "numbers"),
    [
        ({"dead_shares": {"a": [0.9, 0.2], "b": [0.1, 0.7]}}, "KTK013", {"share": 0.7}),
        ({"saturated_shares": {"a": [0.1, 0.6]}}, "KTK014", {"share": 0.6}),
        ({"update_ratios": {"a": [2e-6, 4e-6]}}, "KTK015", {"update_ratio": 3e-6}),
        ({"update_ratios": {"a": [0.2, 0.4]}}, "KTK016", {"update_ratio": 0.3}),
    ],
)
def test_units_and_updates_of_a_monitor_are_judged(kept, code, numbers):
    found = diagnose(GOOD, monitor=seen(**kept))
    assert found.codes == [code]
    assert found.findings[0].numbers == pytest.approx(numbers)


def test_a_healthy_monitor_changes_nothing():
    kept = {"update_ratios": {"a": [1e-3, 2e-3]}, "dead_shares": {"a": [0.9, 0.1]}}
    assert diagnose(GOOD, monitor=seen(**kept)).codes == ["KTK017"]
    assert diagnose(GOOD, monitor=seen(steps=[])).codes == ["KTK017"]


def test_a_history_of_fit_is_read(blobs):
    model = models.mlp((2,), 1, (4,))
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    run = model.fit(*blobs, epochs=6, validation_split=0.25, verbose=0)
    found = diagnose(run, model, baseline=blobs[1])
    assert found.epochs == 6
    assert all(isinstance(each, Finding) for each in found.findings)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"history": {}}, "`history` is the run to look at"),
        ({"history": {"accuracy": [1, 2]}}, r"as 'loss'\. Received: \['accuracy'\]"),
        (
            {"history": {"loss": ["a"]}},
            "'loss' of `history` is the run to look at and must be numbers",
        ),
        ({"mute": ["KTK999"]}, "KTK001 to KTK022. Received: 'KTK999'"),
        ({"mute": [["KTK001"]]}, r"KTK001 to KTK022. Received: \['KTK001'\]"),
        ({"mute": 7}, "must be a list of codes. Received: mute=7"),
        ({"monitor": 7}, "`monitor` has seen the gradients .*GradientMonitor.*=7"),
        ({"baseline": NAN}, "same prediction for every row .* Received: baseline=nan"),
        ({"rows": 0}, "`rows` is how many rows there were"),
        ({"validation_rows": 2.5}, "`validation_rows` is how many rows there were"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        diagnose(**{"history": GOOD, **arguments})


def test_a_loss_without_a_known_baseline_wants_a_number():
    model = models.mlp((2,), 1, (3,))
    model.compile("sgd", keras.losses.Huber())
    with pytest.raises(ValueError, match="must be a number .* loss='huber'"):
        diagnose(GOOD, model, baseline=np.array([1.0, 2.0]))


# Readings that a reader got wrong verdicts from


@pytest.mark.parametrize(
    "losses",
    [
        np.linspace(1.0, 3.9, 30),
        np.r_[np.linspace(1, 0.3, 10), np.linspace(0.3, 3, 20)],
    ],
)
def test_a_training_loss_that_rises_is_no_plateau(losses):
    found = diagnose({"loss": losses, "val_loss": losses + 0.1})
    assert found.codes[0] in ("KTK001", "KTK004")


def test_an_explosion_in_the_last_epoch_is_one():
    losses = np.r_[np.geomspace(1, 0.1, 29), 50.0]
    assert diagnose({"loss": losses}).codes[0] == "KTK001"


@pytest.mark.parametrize(
    ("targets", "loss", "expected"),
    [
        (np.tile([0, 1, 0, 1, 1], (40, 1))[:, ::-1], "binary_crossentropy", 0.0),
        (np.indices((4, 5)).sum(axis=0) % 2, "binary_crossentropy", np.log(2)),
        (np.indices((8, 6)).sum(axis=0) % 4, "sparse_categorical_crossentropy", 1.3863),
    ],
)
def test_labels_with_axes_have_the_entropy_of_their_loss(targets, loss, expected):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])
    model.compile("sgd", loss)
    found, rows = baseline_of(targets, model)
    assert found == pytest.approx(expected, abs=1e-4) and rows == len(targets)


def test_targets_that_the_model_scales_are_scaled():
    y = np.random.default_rng(0).normal(50, 90, size=(300, 1))
    scaling = layers.StandardScaling()
    scaling.adapt(y)
    model = models.mlp((3,), 1, (4,), target_scaling=scaling)
    model.compile("sgd", "mse")
    assert baseline_of(y, model)[0] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    "targets", [[1.0, np.nan], [], [0.0, 1.0, 1.0], list(range(50)), np.ones((4, 3))]
)
def test_targets_that_say_too_little_are_refused(targets):
    with pytest.raises(ValueError, match="^`baseline` is the loss of the same predict"):
        diagnose({"loss": [1.0] * 9}, baseline=np.array(targets))
