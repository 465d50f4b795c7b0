"""The recipes for measurements and texts say what they take and why."""

import numpy as np
import pytest

from keras_trainkit.estimators import SequenceClassifier
from keras_trainkit.estimators._sequence_recipe import (
    chosen_for_measurements,
    chosen_for_shapes,
    chosen_for_texts,
    like_lengths,
    mlp_share,
    reads_shapes,
    series_in_folds,
    vector_epochs,
)

pytestmark = pytest.mark.backend_free


def measurements(task="binary", preset="default", **given):
    return chosen_for_measurements(400, 30, 2, task, preset, given)


def texts(preset="default", **given):
    return chosen_for_texts(4_000, 3, preset, given)


@pytest.mark.parametrize("recipe", [measurements, texts])
def test_every_choice_has_a_reason(recipe):
    for choice in recipe().values():
        assert set(choice) == {"value", "reason"} and choice["reason"]


@pytest.mark.parametrize("recipe", [measurements, texts])
def test_what_is_given_goes_before_the_recipe(recipe):
    found = recipe(epochs=70, dropout=0.0, keep="start", units=None)
    assert found["epochs"] == {"value": 70, "reason": "given"}
    assert (found["dropout"]["value"], found["keep"]["value"]) == (0.0, "start")
    assert found["units"]["reason"] != "given"


@pytest.mark.parametrize("recipe", [measurements, texts])
def test_a_given_optimizer_and_loss_have_numbers_of_their_own(recipe):
    found = recipe(optimizer="sgd", loss="mse")
    for name in ("learning_rate", "weight_decay", "global_clipnorm"):
        assert found[name]["value"] is None
    assert found["label_smoothing"]["value"] is None
    assert recipe(optimizer="sgd", learning_rate=0.3)["learning_rate"]["value"] == 0.3


def test_numbers_have_no_labels_to_smooth():
    assert "label_smoothing" not in measurements("regression")


@pytest.mark.parametrize("recipe", [measurements, texts])
def test_the_fast_preset_has_smaller_networks_and_fewer_epochs(recipe):
    fast, default = recipe(preset="fast"), recipe()
    for name in ("units", "epochs"):
        assert fast[name]["value"] < default[name]["value"]


@pytest.mark.parametrize(
    ("rows", "epochs", "batch_size"),
    [
        (30, 4 * 135, 8),
        (100, 2 * 135, 12),
        (150, 2 * 135, 18),
        (500, 135, 32),
        (6_000, 90, 64),
        (50_000, 30, 64),
    ],
)
def test_length_and_batch_follow_the_rows(rows, epochs, batch_size):
    found = chosen_for_measurements(rows, 30, 2, "binary", "default", {})
    assert found["epochs"]["value"] == epochs
    assert found["batch_size"]["value"] == batch_size


def test_a_given_batch_sets_the_steps_of_an_epoch():
    assert measurements(batch_size=200)["epochs"]["value"] == 8 * 135
    assert texts(batch_size=4_000)["epochs"]["value"] == 16 * 30
    assert chosen_for_texts(1_000, 3, "default", {})["epochs"]["value"] == 120
    assert chosen_for_texts(8_000, 3, "default", {})["epochs"]["value"] == 30


def of_one_channel(longest, task="regression", preset="default", **given):
    found = chosen_for_measurements(400, longest, 1, task, preset, given)
    return {name: choice["value"] for name, choice in found.items()}


@pytest.mark.parametrize(
    ("longest", "pool_size"), [(8, 2), (500, 2), (501, 3), (1_460, 6), (9_999, 8)]
)
def test_numbers_of_one_channel_are_read_behind_convolutions(longest, pool_size):
    values = of_one_channel(longest)
    assert len(values["convolutions"]) == 3
    assert values["units"] == (64, 64)
    assert values["pool_size"] == pool_size
    assert values["convolution_mean"] is False
    assert values["max_length"] == 2_000


@pytest.mark.parametrize("preset", ["default", "fast"])
@pytest.mark.parametrize("task", ["binary", "classification"])
def test_classes_of_one_channel_are_told_by_the_mean_of_convolutions(task, preset):
    values = of_one_channel(900, task, preset)
    assert len(values["convolutions"]) == 3
    assert (values["units"], values["pool_size"]) == ((), 1)
    assert values["convolution_mean"] is True
    with_units = of_one_channel(900, task, preset, units=(8,))
    assert (with_units["units"], with_units["pool_size"]) == ((8,), 4)
    assert with_units["convolution_mean"] is False
    both = of_one_channel(900, task, preset, units=(8,), convolution_mean=True)
    assert both["convolution_mean"] is True
    neither = of_one_channel(900, task, preset, convolutions=())
    assert len(neither["units"]) > 0
    assert neither["convolution_mean"] is False


@pytest.mark.parametrize(
    ("channels", "given", "rows"),
    [
        (1, {}, 100),
        (2, {}, 0),
        (1, {"units": (8,)}, 0),
        (1, {"units": ()}, 100),
        (1, {"convolutions": ()}, 0),
        (1, {"convolutions": ((4, 3),)}, 100),
    ],
)
def test_few_series_of_one_channel_are_learned_in_folds(channels, given, rows):
    assert series_in_folds(channels, given) == rows


@pytest.mark.parametrize(
    ("rows", "given", "expected"),
    [
        (2, {}, True),
        (8_000, {"max_length": 30, "keep": "start", "validation": 0.4}, True),
        (8_001, {}, False),
        (8_001, {"features_per_kernel": 7}, True),
        (60, {"features_per_kernel": 0}, False),
        (60, {"units": (8,)}, False),
        (60, {"dropout": 0.0}, False),
        (60, {"folds": 3}, False),
        (60, {"metrics": ["accuracy"]}, False),
    ],
)
def test_shapes_are_read_where_no_argument_of_a_network_is_given(rows, given, expected):
    arguments = SequenceClassifier(**given).get_params()
    assert reads_shapes(rows, arguments) == expected


def test_shapes_are_as_many_as_published():
    found = chosen_for_shapes(30, (0.5, "half"), {"segments": 7})
    assert 84 * found["features_per_kernel"]["value"] == 9_996
    assert found["segments"] == {"value": 7, "reason": "given"}


@pytest.mark.parametrize(
    ("lengths", "channels", "share", "reason"),
    [
        ([40] * 999, 1, 0.0, "999 rows, fewer than 1,000"),
        ([40] * 1_000, 5, 0.5, "half: 1,000 sequences of one length, of 200 values"),
        ([40] * 1_000, 6, 0.0, "240 values of a sequence, more than 200"),
        ([40] * 1_000 + [39], 1, 0.0, "sequences of several lengths"),
    ],
)
def test_an_mlp_reads_many_sequences_of_one_length(lengths, channels, share, reason):
    found, why = mlp_share(np.array(lengths), channels, {"mlp_weight": None})
    assert found == share and reason in why
    given = mlp_share(np.array(lengths), channels, {"mlp_weight": 0.25})
    assert given == (0.25, "given")


def test_pooling_follows_the_steps_that_are_read():
    for most, pool_size in [(100, 2), (2_500, 10), (10_000, 40)]:
        assert of_one_channel(10_000, max_length=most)["pool_size"] == pool_size


def test_without_convolutions_no_steps_are_pooled():
    for channels, given in [(2, {}), (1, {"convolutions": ()})]:
        found = chosen_for_measurements(400, 900, channels, "binary", "fast", given)
        assert found["convolutions"]["value"] == ()
        assert (found["pool_size"]["value"], found["max_length"]["value"]) == (1, 500)
        assert found["convolution_mean"]["value"] is False


@pytest.mark.parametrize(
    ("lengths", "groups", "reason"),
    [
        ([10] * 500 + [2] * 500, 4, "40% of the steps"),
        ([10] * 999 + [4], 1, "0% of the steps"),
        ([10] * 500 + [2] * 499, 1, "999 training rows"),
    ],
)
def test_many_rows_of_unlike_lengths_are_read_in_batches_of_like_length(
    lengths, groups, reason
):
    choice = like_lengths(np.array(lengths))["num_lengths"]
    assert choice["value"] == groups
    assert reason in choice["reason"]


@pytest.mark.parametrize(
    ("words", "preset", "given", "epochs"),
    [
        ([100] * 1_000, "default", {}, 20),
        ([200] * 10_000, "default", {}, 2),
        ([900] * 10_000, "default", {}, 1),
        ([100] * 999, "default", {}, 0),
        ([1] * 1_000, "default", {}, 0),
        ([100] * 1_000, "fast", {}, 0),
        ([100] * 1_000, "default", {"vector_epochs": 0}, 0),
        ([100] * 9, "fast", {"vector_epochs": 3}, 3),
    ],
)
def test_vectors_are_learned_from_many_texts(words, preset, given, epochs):
    choice = vector_epochs(np.array(words), preset, given)["vector_epochs"]
    assert choice["value"] == epochs
    assert choice["reason"]
