import json

import keras
import numpy as np
import pandas as pd
import pytest
from comparing import assert_close, assert_equal
from keras import ops
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from keras_trainkit.layers import FeatureSelection

RNG = np.random.default_rng(0)
CODES = RNG.integers(4, size=300)
ROWS = np.stack([RNG.normal(size=300), RNG.normal(size=300), CODES, RNG.random(300)], 1)
LABELS = (ROWS[:, 1] ** 2 > 0.5).astype(int) + 2 * (CODES == 3)  # features 1 and 2
AMOUNTS = np.sin(3 * ROWS[:, 3]) + 0.5 * (CODES > 1) + 0.01 * RNG.normal(size=300)
TASKS = {"classification": LABELS, "regression": AMOUNTS}


def adapted(features=2, data=ROWS, targets=LABELS, task="classification", **kwargs):
    layer = FeatureSelection(features, **kwargs)
    layer.adapt(data, targets, task=task)
    return layer


def scores(*args, **kwargs):
    return ops.convert_to_numpy(adapted(*args, **kwargs).scores)


def model_of(layer, features=4):
    inputs = keras.Input((features,), name="features")
    return keras.Model(inputs, keras.layers.Dense(2, name="scores")(layer(inputs)))


@pytest.mark.parametrize(
    ("task", "peer"),
    [("classification", mutual_info_classif), ("regression", mutual_info_regression)],
)
def test_scores_are_those_of_scikit_learn(task, peer):
    discrete = {"discrete_features": [2]}
    expected = peer(ROWS, TASKS[task], random_state=0, **discrete)
    found = scores(targets=TASKS[task], task=task, **discrete)
    assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("task", "best"), [("classification", [1, 2]), ("regression", [2, 3])]
)
def test_features_that_tell_of_the_target_pass_untouched_in_their_order(task, best):
    layer = adapted(targets=TASKS[task], task=task)
    assert_equal(layer.kept, best)
    rows = ROWS.astype("float32")
    assert_equal(layer(rows), rows[:, best])


def test_a_code_that_decides_the_label_scores_its_entropy():
    codes = np.repeat([5.0, 6.0, 9.0, 2.0], 20)
    found = scores(1, codes[:, None], codes.astype(str), discrete_features=[0])
    assert_close(found, [np.log(4)], rtol=1e-6)


@pytest.mark.parametrize("codes", [[0], [0, 2]])
def test_features_that_are_codes_may_come_as_an_array(codes):
    data = np.stack([CODES, ROWS[:, 1], CODES[::-1], ROWS[:, 3]], 1)
    expected = scores(data=data, discrete_features=codes)
    assert not np.allclose(expected, scores(data=data))
    assert_equal(scores(data=data, discrete_features=np.array(codes)), expected)
    config = FeatureSelection(2, discrete_features=np.array(codes)).get_config()
    assert json.loads(json.dumps(config))["discrete_features"] == codes


def test_a_share_of_the_features_is_rounded_and_never_none():
    assert FeatureSelection(0.6).compute_output_shape((None, 5, 4)) == (None, 5, 2)
    assert FeatureSelection(0.01).compute_output_shape((None, 4)) == (None, 1)
    assert adapted(0.5)(ROWS).shape == (300, 2)


def test_constant_features_and_features_without_values_score_zero():
    idle = np.concatenate([np.full((300, 1), 0.1), np.full((300, 1), np.nan), ROWS], 1)
    found = scores(data=idle)
    assert_equal(found[:2], [0, 0])
    assert_close(found[2:], scores(), rtol=1e-5)


def test_being_missing_counts_as_a_value():
    labels = np.repeat([0, 1], 100)
    tells = np.where(labels == 1, np.nan, RNG.normal(size=200))
    silent = np.where(np.arange(200) % 2, np.nan, RNG.normal(size=200))
    found = scores(1, np.stack([silent, tells], 1), labels)
    assert found[1] == pytest.approx(np.log(2), rel=1e-6)
    assert found[0] < 0.1


def test_values_that_are_there_count_by_their_share():
    half = np.arange(300) % 2 == 0
    holes = ROWS.copy()
    holes[half, 1] = np.nan
    flag = mutual_info_classif(half[:, None], LABELS, discrete_features=True)[0]
    there = mutual_info_classif(ROWS[~half, 1:2], LABELS[~half], random_state=0)[0]
    assert scores(data=holes)[1] == pytest.approx(flag + there / 2, abs=1e-3)


def test_an_offset_does_not_drown_in_the_noise_that_breaks_ties():
    plain, far = scores(), scores(data=ROWS + [0, 1e10, 0, 0])
    assert far[1] == pytest.approx(plain[1], abs=1e-2)


def test_missing_values_pass_through():
    layer = adapted(1)
    assert_equal(layer(np.array([[0, np.nan, 0, 0]], "float32")), [[np.nan]])


@pytest.mark.parametrize("portion", [1, 70, 300])
def test_rows_are_drawn_alike_however_they_are_cut_into_batches(portion):
    starts = range(0, 300, portion)
    batches = [(ROWS[i : i + portion], LABELS[i : i + portion]) for i in starts]
    streamed = FeatureSelection(2, max_rows=110, seed=3)
    streamed.adapt(iter(batches), task="binary")
    whole = adapted(max_rows=110, seed=3)
    assert_equal(streamed.scores, whole.scores)
    assert (scores(max_rows=110, seed=4) != scores(max_rows=110, seed=3)).any()


def test_no_more_rows_are_used_than_allowed():
    exact = scores(data=ROWS[:110], targets=LABELS[:110])
    assert_equal(scores(data=ROWS[:110], targets=LABELS[:110], max_rows=110), exact)
    many = scores(data=np.tile(ROWS, (40, 1)), targets=np.tile(LABELS, 40), max_rows=70)
    assert many.shape == (4,)


def test_adapting_twice_gives_the_same():
    layer = adapted()
    before = ops.convert_to_numpy(layer.scores)
    layer.adapt(ROWS[:, ::-1].copy(), LABELS, task="classification")
    layer.adapt(ROWS, LABELS, task="classification")
    assert_equal(layer.scores, before)


def test_targets_may_stand_in_a_column_or_belong_to_steps():
    expected = scores()
    assert_equal(scores(targets=LABELS[:, None]), expected)
    assert_equal(scores(targets=LABELS.astype(str).astype(object)), expected)
    steps = ROWS.reshape(30, 10, 4), LABELS.reshape(30, 10)
    assert_equal(scores(data=steps[0], targets=steps[1]), expected)


def test_mask_and_sequences_pass():
    inputs = keras.Input((10, 4))
    masked = keras.layers.Masking()(inputs)
    outputs = keras.layers.GlobalAveragePooling1D()(adapted()(masked))
    sequences = ROWS[:20].reshape(2, 10, 4).copy()
    sequences[1, 6:] = 0
    found = keras.Model(inputs, outputs).predict(sequences, verbose=0)
    expected = [sequences[0, :, 1:3].mean(0), sequences[1, :6, 1:3].mean(0)]
    assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
def test_the_dtype_of_the_inputs_stays(dtype):
    layer = adapted(dtype="mixed_float16")
    for inputs in (ops.cast(ROWS, dtype), keras.Input((4,), dtype=dtype)):
        assert keras.backend.standardize_dtype(layer(inputs).dtype) == dtype


def test_the_choice_travels_in_files_and_clones_and_is_not_trained(tmp_path):
    layer = adapted()
    model = model_of(layer)
    assert not layer.trainable_weights
    expected = model.predict(ROWS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded.predict(ROWS, verbose=0), expected, rtol=1e-6)
    assert_equal(loaded.layers[1].scores, layer.scores)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_close(clone.predict(ROWS, verbose=0), expected, rtol=1e-6)
    model.compile("sgd", "mse")
    model.fit(ROWS, ROWS[:, :2], verbose=0)
    assert_equal(layer.kept, [1, 2])


def test_call_before_adapt_gives_an_error_or_nan_but_never_numbers():
    with pytest.raises(ValueError, match=r"call `adapt\(data, targets, task=...\)`"):
        FeatureSelection(2)(ROWS)
    model = model_of(FeatureSelection(2))
    if keras.config.backend() == "jax":  # cannot raise in a compiled step
        assert np.isnan(model.predict(ROWS, verbose=0)).all()
    else:
        with pytest.raises(ValueError, match=r"call `adapt\(data, targets"):
            model.predict(ROWS, verbose=0)


@pytest.mark.tensorflow_only
def test_a_savedmodel_gives_the_same(tmp_path):
    import tensorflow as tf

    model = model_of(adapted())
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    rows = tf.constant(ROWS, "float32")
    assert_close(served.serve(rows), model(rows), rtol=0, atol=1e-6)


@pytest.mark.tensorflow_only
def test_takes_a_tf_data_dataset():
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((ROWS, LABELS)).batch(64)
    assert_equal(adapted(data=dataset, targets=None).scores, scores())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"targets": LABELS[:299]}, "each row. Received: 299 targets for 300 rows"),
        ({"targets": None}, "must be given, unless.*Received: ndarray alone"),
        ({"targets": None, "data": [7]}, "must hold batches.*of type int"),
        ({"targets": np.ones(300)}, "must not all be the same. Received: .*1.0"),
        ({"targets": AMOUNTS}, "most must come twice.*300 different labels"),
        ({"targets": [np.nan, *AMOUNTS[1:]]}, "finite and present.*Received: 1 that"),
        ({"targets": [None, *LABELS[1:]]}, "finite and present.*Received: 1 that"),
        ({"targets": LABELS.astype(str), "task": "regression"}, "must be real numbers"),
        ({"task": "ranking"}, "what the targets are for.*task='ranking'"),
        ({"data": np.full((300, 4), np.inf)}, "infinite values in feature 0"),
        ({"data": ROWS[:9], "targets": LABELS[:9]}, "at least 10 rows. Received: 9"),
        ({"data": ROWS[:, :1]}, "known size of at least 2"),
        ({"discrete_features": [4]}, "known size of at least 5"),
    ],
)
def test_refuses_data_that_cannot_be_scored(arguments, words):
    with pytest.raises(ValueError, match=words):
        adapted(**arguments)


def test_refuses_batches_and_later_data_with_other_features():
    with pytest.raises(ValueError, match="4, then 3 features"):
        adapted(data=[(ROWS, LABELS), (ROWS[:, :3], LABELS)], targets=None)
    with pytest.raises(ValueError, match="built for 4 of them. Received: data with 3"):
        adapted().adapt(ROWS[:, :3], LABELS, task="classification")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"features": 0}, "number of features kept.*at least 1"),
        ({"features": 1.0}, "number of features kept.*below 1"),
        ({"features": 2, "discrete_features": [-1]}, "features that are codes"),
        ({"features": 2, "max_rows": 9}, "bounds the rows.*at least 10"),
        ({"features": 2, "seed": -3}, "repeatable"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        FeatureSelection(**arguments)


@pytest.mark.parametrize("wrong", ["", "01", b"x", 3, [0.5], [-1]])
def test_discrete_features_are_numbers_in_a_list(wrong):
    with pytest.raises(ValueError, match="`discrete_features` numbers the features"):
        FeatureSelection(2, discrete_features=wrong)


def test_labels_of_the_rows_in_another_order_are_refused():
    table, back = pd.DataFrame(ROWS), pd.Series(LABELS)[::-1]
    with pytest.raises(ValueError, match="^`targets` belongs to the rows of `data`"):
        adapted(data=table, targets=back)


def test_masked_targets_are_missing():
    masked = np.ma.array(AMOUNTS, mask=np.arange(300) < 4)
    with pytest.raises(ValueError, match="^`targets` .*finite and present.*: 4 that"):
        adapted(targets=masked, task="regression")
