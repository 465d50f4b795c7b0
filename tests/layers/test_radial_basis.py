import keras
import numpy as np
import pytest
from backend_gradients import gradients
from keras import ops
from sklearn.gaussian_process.kernels import Matern

from keras_trainkit.layers import RadialBasis

NU = {"laplacian": 0.5, "matern32": 1.5, "matern52": 2.5, "gaussian": np.inf}
SHAPE = (60, 4)


def rows(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(3, 2, shape).astype("float32")


def adapted(kernel="matern32", units=20, data=None, **given):
    basis = RadialBasis(units, kernel, **given)
    basis.adapt(rows() if data is None else data)
    return basis


def outputs_of(basis, x):
    return keras.ops.convert_to_numpy(basis(x)).astype("float64")


@pytest.mark.parametrize("kernel", NU)
def test_it_is_the_kernel_of_scikit_learn(kernel):
    basis, x = adapted(kernel), rows(seed=1)
    centers, scales = (weight.astype("float64") for weight in basis.get_weights())
    expected = Matern(nu=NU[kernel])(x * scales, centers * scales)
    np.testing.assert_allclose(outputs_of(basis, x), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", NU)
def test_a_kept_row_is_all_like_itself(kernel):
    basis = adapted(kernel)
    found = outputs_of(basis, basis.get_weights()[0])
    # Distances of 0 come out of sums of squares, of which roots are taken.
    np.testing.assert_allclose(np.diag(found), 1, atol=3e-3)


def test_rows_are_drawn_without_repetition():
    centers, _ = adapted(units=60).get_weights()
    order = np.lexsort(centers.T), np.lexsort(rows().T)
    np.testing.assert_array_equal(centers[order[0]], rows()[order[1]])
    others, _ = adapted(units=60, seed=1).get_weights()
    assert (others != centers).any()


def test_scales_bring_deviations_and_the_median_distance_to_one():
    data = rows((400, 3)) * np.float32([1, 100, 0.01])
    _, scales = adapted(units=5, data=data).get_weights()
    scaled = data.astype("float64") * scales
    np.testing.assert_allclose(scaled.std(axis=0), scaled.std(axis=0)[0], rtol=1e-5)
    apart = np.linalg.norm(scaled[:, None] - scaled, axis=2)
    assert np.median(apart[np.triu_indices(400, 1)]) == pytest.approx(1, rel=1e-4)


def test_a_constant_feature_counts_for_nothing():
    data = rows()
    data[:, 1] = 1e6
    basis = adapted(data=data)
    other = rows(seed=1)
    found = outputs_of(basis, other)
    other[:, 1] = 5
    np.testing.assert_array_equal(outputs_of(basis, other), found)
    alike = adapted(data=np.ones((30, 2), "float32"))
    np.testing.assert_array_equal(outputs_of(alike, np.zeros((2, 2))), 1)


def test_rows_with_nan_are_left_out_and_give_nan():
    data = rows()
    data[::2, 1] = np.nan
    basis = adapted(units=30, data=data)
    assert np.isfinite(basis.get_weights()[0]).all()
    found = outputs_of(basis, data)
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), np.arange(60) % 2 == 0)


@pytest.mark.parametrize("kernel", NU)
def test_rows_far_away_are_like_none(kernel):
    far = np.array([[1e20, 0, 0, 0], [1e37, -1e37, 0, 0], [np.inf, 1, 1, 1]], "float32")
    np.testing.assert_array_equal(outputs_of(adapted(kernel), far), 0)


@pytest.mark.parametrize("size", [1e200, 1e37, 1e-37])
def test_sizes_that_float32_does_not_hold_are_refused(size):
    data = np.random.default_rng(0).normal(size=(30, 2)) * size
    with pytest.raises(ValueError, match="whose values must be at most 1e"):
        adapted(data=data)


def test_gradients_are_finite_at_a_kept_row():
    basis = adapted("laplacian")
    (found,) = gradients(lambda x: ops.sum(basis(x)), [basis.get_weights()[0]])
    assert np.isfinite(found).all()


def test_half_precision_rounds_the_outputs_alone():
    exact, half = adapted(), adapted(dtype="mixed_bfloat16")
    found = half(rows(seed=1))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    values = keras.ops.convert_to_numpy(keras.ops.cast(found, "float32"))
    np.testing.assert_allclose(values, outputs_of(exact, rows(seed=1)), atol=4e-3)


def test_it_is_saved_with_its_rows(tmp_path):
    basis = adapted("gaussian", seed=3)
    inputs = keras.Input(SHAPE[1:])
    model = keras.Model(inputs, basis(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = rows(seed=1)
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"units": 0}, "`units` is the number of rows that are kept"),
        ({"units": 2.0}, "`units` is the number of rows that are kept"),
        ({"units": 2, "kernel": "rbf"}, "`kernel` is the likeness of two rows"),
        ({"units": 2, "seed": -1}, "`seed` draws the rows that are kept"),
    ],
)
def test_arguments_out_of_range_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        RadialBasis(**given)


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="as many without NaN as `units`, 61"):
        adapted(units=61)
    with pytest.raises(ValueError, match="Received: 0 such rows"):
        adapted(data=np.full(SHAPE, np.nan))
    basis = adapted()
    with pytest.raises(ValueError, match="has a scale per feature"):
        basis.adapt(rows((30, 5)))
    with pytest.raises(ValueError, match="keeps rows that it takes from data"):
        RadialBasis(3)(rows())
