import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal, rounding
from keras import ops
from sklearn.decomposition import PCA

from keras_trainkit.layers import PCAProjection

MIXING = np.array([[5.0, 1, 0, 2], [0, 2, 0, 1], [0, 0, 0.7, 0], [0.1, 0, 0, 0.2]])
ROWS = np.random.default_rng(0).normal(size=(80, 4)) @ MIXING + [3, -1, 0, 7]
PLANE = ROWS @ np.diag([1.0, 1, 0, 0]) + [0, 0, 5, 0]  # two directions, two constants


def adapted(units=2, data=ROWS, **kwargs):
    layer = PCAProjection(units, **kwargs)
    layer.adapt(data)
    return layer


def model_of(layer):
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, keras.layers.Dense(2, name="scores")(layer(inputs)))


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("units", [1, 3, 4, 0.9, 0.995])
def test_equals_scikit_learn_signs_included(units, whiten):
    peer = PCA(units, whiten=whiten, svd_solver="full").fit(ROWS)
    layer = adapted(units, whiten=whiten)
    assert_close(layer(ROWS), peer.transform(ROWS), rtol=1e-4, atol=1e-4)
    assert_close(layer.components, peer.components_, rtol=1e-5, atol=1e-6)
    assert_close(layer.deviation**2, peer.explained_variance_, rtol=1e-5)
    ratio = layer.explained_variance_ratio
    assert_close(ratio, peer.explained_variance_ratio_, rtol=1e-5)
    back = layer.inverse(layer(ROWS))
    assert_close(back, peer.inverse_transform(peer.transform(ROWS)), atol=1e-4)


def test_two_points_by_hand():
    # The difference (3, 4) has length 5; the larger entry, 4 / 5, is positive.
    layer = adapted(1, np.array([[1.0, 1.0], [4.0, 5.0]]))
    assert_close(layer.components, [[0.6, 0.8]], rtol=1e-6)
    assert_close(layer(np.array([[1.0, 1.0], [4.0, 5.0]])), [[-2.5], [2.5]], rtol=1e-6)


@pytest.mark.parametrize("portion", [1, 7, 64])
def test_order_and_portions_do_not_matter(portion):
    shuffled = np.random.default_rng(3).permutation(ROWS)
    parts = (shuffled[i : i + portion] for i in range(0, 80, portion))
    assert_close(adapted(3, parts)(ROWS), adapted(3)(ROWS), rtol=1e-5, atol=1e-6)


def test_a_large_offset_costs_no_digits():
    data = (1e6 + ROWS).astype("float32")
    expected = PCA(3, svd_solver="full").fit_transform(data.astype("float64"))
    assert_close(adapted(3, data)(data), expected, rtol=1e-4, atol=1e-4)


def test_directions_without_variance_give_zero_whatever_comes_later():
    for whiten in (False, True):
        layer = adapted(4, PLANE, whiten=whiten)
        later = ops.convert_to_numpy(layer(PLANE + [0, 0, 9, -9]))
        assert_equal(later[:, 2:], np.zeros((80, 2)))
        assert_close(layer.inverse(layer(PLANE)), PLANE, atol=1e-4)


def test_whitened_units_have_the_deviation_one():
    outputs = ops.convert_to_numpy(adapted(3, whiten=True)(ROWS))
    assert_close(np.cov(outputs, rowvar=False), np.eye(3), atol=1e-4)


def test_rows_with_missing_values_are_left_out_and_give_nan():
    holes = np.concatenate([ROWS, [[1, np.nan, 1, 1]]])
    layer = adapted(2, holes)
    assert_equal(layer.components, adapted().components)
    outputs = ops.convert_to_numpy(layer(holes))
    assert np.isnan(outputs[-1]).all() and np.isfinite(outputs[:-1]).all()


def test_sequences_share_the_projection_and_padding_has_no_influence():
    mask = np.arange(20) < np.array([[20], [20], [7], [13]])
    padded = np.full((4, 20, 4), -7.0)
    padded[mask] = ROWS[:60]
    expected = ops.convert_to_numpy(adapted(2, ROWS[:60])(ROWS[:60]))
    for how in ({"mask": mask}, {"mask_value": -7.0}):
        layer = PCAProjection(2)
        layer.adapt(padded, **how)
        spoilt = np.where(mask[..., None], padded, np.inf)
        outputs = ops.convert_to_numpy(layer(spoilt, mask=mask))
        assert_close(outputs[mask], expected, rtol=1e-4, atol=1e-5)
        assert_equal(outputs[~mask], np.zeros((20, 2)))


def test_half_precision_begins_after_the_projection():
    layer = adapted(2, 1e5 + ROWS, dtype="mixed_float16")
    outputs = layer((1e5 + ROWS).astype("float32"))
    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    four_inputs = 4 * 1e5 * rounding("float32")
    assert_close(
        outputs, adapted()(ROWS), rtol=rounding("float16", 2), atol=four_inputs
    )
    assert {weight.dtype for weight in layer.weights} == {"float32"}


@pytest.mark.first_quick
@pytest.mark.parametrize("units", [2, 0.95])
def test_statistics_travel_in_files_and_clones_and_are_not_trained(units, tmp_path):
    layer = adapted(units, whiten=True)
    model = model_of(layer)
    assert not layer.trainable_weights
    expected = model.predict(ROWS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded.predict(ROWS, verbose=0), expected, rtol=1e-6)
    clone = keras.models.clone_model(model)
    model.save_weights(tmp_path / "model.weights.h5")
    clone.load_weights(tmp_path / "model.weights.h5")
    assert_close(clone.predict(ROWS, verbose=0), expected, rtol=1e-6)


def test_a_share_is_met_by_as_few_units_as_can_be():
    ratio = PCA().fit(ROWS).explained_variance_ratio_
    for share in (0.5, 0.93, 0.99):
        layer = adapted(share)
        few = layer.width
        assert sum(ratio[:few]) >= share > sum(ratio[: few - 1])
        assert layer.compute_output_shape((None, 5, 4)) == (None, 5, few)
        assert layer.get_config()["units"] == share


def test_a_share_needs_adapt_before_the_layer_meets_a_model():
    for use in (lambda layer: layer(keras.Input((4,))), lambda layer: layer(ROWS)):
        with pytest.raises(ValueError, match=r"before using it, or give `units` as"):
            use(PCAProjection(0.9))


def test_a_model_keeps_the_number_of_units_that_it_was_built_for():
    layer = adapted(0.5)
    with pytest.raises(ValueError, match="learned 1 units before.*needs 2 units"):
        layer.adapt(np.random.default_rng(0).normal(size=(200, 4)))
    layer.adapt(3 * ROWS)
    assert_close(
        layer(3 * ROWS), 3 * ops.convert_to_numpy(adapted(0.5)(ROWS)), rtol=1e-4
    )


def test_call_before_adapt_gives_an_error_or_nan_but_never_numbers():
    with pytest.raises(ValueError, match=r"call `adapt\(data\)`, or load weights"):
        PCAProjection(2)(ROWS)
    model = model_of(PCAProjection(2))
    if keras.config.backend() == "jax":  # cannot raise in a compiled step
        assert np.isnan(model.predict(ROWS, verbose=0)).all()
    else:
        with pytest.raises(ValueError, match=r"call `adapt\(data\)`"):
            model.predict(ROWS, verbose=0)


@pytest.mark.tensorflow_only
def test_a_savedmodel_gives_the_same(tmp_path):
    import tensorflow as tf

    model = model_of(adapted(0.95, whiten=True))
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    rows = tf.constant(ROWS, "float32")
    assert_close(served.serve(rows), model(rows), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.ones((5, 3)), "at least one feature must.*all constant"),
        (np.ones((1, 3)), "at least two must be without NaN.*Received: 1"),
        (np.full((5, 3), np.nan), "at least two must be without NaN.*Received: 0"),
        ([[1.0, np.inf], [2.0, 3.0]], "infinite values in feature 1"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], "built for 3 .* data with 4 features"),
        (np.array([[1e39, 1], [0.0, 1]]), "computes in float32"),
        (np.array([[1e-40, 1], [0.0, 1]]), "computes in float32"),
        (np.arange(5.0)[:, None], r"known size of at least 2.*\(None, 1\)"),
    ],
)
def test_refuses_data_without_directions(data, words):
    with pytest.raises(ValueError, match=words):
        PCAProjection(2).adapt(data)


def test_refuses_more_features_than_it_was_built_for():
    with pytest.raises(ValueError, match="built for 4 of them. Received: data with 3"):
        adapted().adapt(ROWS[:, :3])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "number of units kept.*at least 1"),
        ({"units": 1.0}, "number of units kept.*below 1"),
        ({"units": True}, "number of units kept"),
        ({"units": 2, "whiten": 1}, "standard deviation 1.*whiten=1"),
        ({"units": 0.5, "width": 0}, "share of variance came to"),
        ({"units": 2, "width": 2}, "must be None where `units` is an integer"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        PCAProjection(**arguments)
