import itertools

import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal
from keras import ops

from keras_trainkit.layers import MiniRocket

SEVERAL = {"features_per_kernel": 5, "max_dilations": 3, "seed": 7}


def series(rows=4, time=40, channels=2):
    x = np.random.default_rng(0).normal(size=(rows, time, channels))
    return x.astype("float32")


def adapted(x, mask=None, **arguments):
    rocket = MiniRocket(**SEVERAL | arguments)
    rocket.adapt(x, mask=mask)
    return rocket


def by_hand(rocket, steps, dilations):
    """Features of one row without padding, step by step in float64.

    Args:
        dilations: Pairs of a dilation and its number of thresholds.
    """
    channels = np.array(ops.convert_to_numpy(rocket.channels), "float64")
    thresholds = np.array(ops.convert_to_numpy(rocket.thresholds), "float64")
    found, first = [], 0
    for number, (dilation, count) in enumerate(dilations):
        shares = np.zeros((count, 84))
        for kernel, high in enumerate(itertools.combinations(range(9), 3)):
            responses = []
            for at in range(len(steps)):
                read = [at + (tap - 4) * dilation for tap in range(9)]
                inside = [0 <= place < len(steps) for place in read]
                if (number + kernel) % 2 and not all(inside):
                    continue  # every second kernel reads whole windows alone
                responses.append(
                    sum(
                        (2 if tap in high else -1)
                        * steps[place]
                        @ channels[number].T[kernel]
                        for tap, place in enumerate(read)
                        if 0 <= place < len(steps)
                    )
                )
            for row in range(count):
                above = np.array(responses) > thresholds[first + row, kernel]
                shares[row, kernel] = above.mean()
        found.append(shares)
        first += count
    return np.concatenate(found).ravel()


def test_features_are_the_shares_of_steps_above_the_thresholds():
    x = series()
    rocket = adapted(x)
    # 3 dilations up to 39 / 8, evenly spaced in their logarithm: 1, 2.2, 4.9.
    expected = by_hand(rocket, x[1].astype("float64"), [(1, 2), (2, 2), (4, 1)])
    assert_close(rocket(x)[1], expected, atol=1e-6)


def test_thresholds_are_quantiles_of_the_responses_to_one_row():
    """A row that repeats itself has the share that its quantile says, of any kernel."""
    x = np.repeat(series(1, 50, 1), 3, axis=0)
    features = ops.convert_to_numpy(adapted(x, features_per_kernel=4)(x))
    quantiles = np.arange(1, 4 * 84 + 1) * (5**0.5 + 1) / 2 % 1
    # In the order they are drawn: dilation by dilation, kernel by kernel.
    counts = [2, 1, 1]
    left = iter(quantiles)
    blocks = [[[next(left) for _ in range(n)] for _ in range(84)] for n in counts]
    expected = np.concatenate([1 - np.array(block).T for block in blocks]).ravel()
    # A quantile lies between two of the 50, or of as few as 2, responses.
    assert np.abs(features[0] - expected)[: 2 * 84].max() < 1.5 / 42


@pytest.mark.parametrize("kind", ["levels", "windows"])
def test_responses_that_equal_a_threshold_but_for_rounding_are_not_above(kind):
    """Any order of a sum tells alike: of long levels, or where a window is all."""
    random = np.random.default_rng(0)
    if kind == "levels":
        x = np.repeat(random.integers(0, 7, size=(4, 3, 1)) * 0.37 + 0.1, 20, axis=1)
        dilations = [(1, 2), (2, 1), (7, 1)]
    else:
        x, dilations = random.normal(size=(4, 9, 1)), [(1, 4)]
    rocket = adapted(x.astype("float32"), features_per_kernel=4)
    found = ops.convert_to_numpy(rocket(x.astype("float32")))
    for row, features in zip(x.astype("float32"), found, strict=True):
        assert_close(
            features, by_hand(rocket, row.astype("float64"), dilations), atol=1e-6
        )


@pytest.mark.parametrize("before", [0, 3, 25])
@pytest.mark.parametrize("length", [1, 7, 40])
def test_padding_changes_nothing_whatever_it_holds(length, before):
    x = series()[:, :length]
    rocket = adapted(series(), num_steps=40)
    padded = np.full((4, before + length + 5, 2), np.nan, "float32")
    padded[:, before : before + length] = x
    valid = np.zeros(padded.shape[:2], bool)
    valid[:, before : before + length] = True
    assert_close(rocket(padded, mask=valid), rocket(x), atol=1e-6)


def test_a_sequence_without_a_valid_step_gives_zeros():
    x = series()
    valid = np.ones((4, 40), bool)
    valid[2] = False
    features = ops.convert_to_numpy(adapted(x)(x, mask=valid))
    assert not features[2].any()
    assert features[[0, 1, 3]].any(axis=1).all()


def test_adapting_leaves_padding_out():
    x, valid = series(), np.ones((4, 60), bool)
    padded = np.full((4, 60, 2), 9.0, "float32")
    padded[:, :40], valid[:, 40:] = x, False
    expected = adapted(x, num_steps=40).get_weights()
    for rocket in (
        adapted(padded, valid, num_steps=40),
        MiniRocket(**SEVERAL, num_steps=40),
    ):
        rocket.adapt(padded, mask_value=9.0)
        for weight, same in zip(rocket.get_weights(), expected, strict=True):
            assert_close(weight, same, atol=1e-5)


def test_a_kernel_reads_some_of_many_channels():
    rocket = adapted(series(channels=20))
    counts = ops.convert_to_numpy(rocket.channels).sum(axis=1)
    assert counts.min() == 1
    assert 5 <= counts.max() <= 9


def test_one_kernel_for_each_way_to_place_three_high_weights():
    """Three steps of 1, none beside them: kernels with these distances respond most."""
    x = np.zeros((1, 30, 1), "float32")
    x[0, [11, 13, 17]] = 1  # taps 2, 4 and 8 around the step 13, and so on
    rocket = MiniRocket(1, max_dilations=1)
    rocket.adapt(x)
    above = np.full((1, 84), 5.5, "float32")  # the response is 6 there alone
    rocket.set_weights([rocket.get_weights()[0], above])
    features = ops.convert_to_numpy(rocket(x))[0]
    kernels = list(itertools.combinations(range(9), 3))
    assert [kernels[k] for k in np.flatnonzero(features)] == [
        (0, 2, 6),
        (1, 3, 7),
        (2, 4, 8),
    ]


def test_the_longest_length_must_be_known():
    words = "kernels as wide as the longest sequence.*num_steps=None"
    with pytest.raises(ValueError, match=words):
        MiniRocket()(keras.Input((None, 2)))
    features = MiniRocket(2, num_steps=30)(keras.Input((None, 2)))
    assert features.shape == (None, 168)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((4, 40)), r"\(rows, time, channels\).*shape \(4, 40\)"),
        (np.zeros((0, 40, 2)), "with a row"),
        (np.full((4, 40, 2), np.nan), "finite at every valid step"),
        (np.full((4, 40, 2), np.inf), "finite at every valid step"),
        (np.full((4, 40, 2), 2e36), r"within 1e\+36.*larger values"),
        (np.full((4, 40, 2), 1e300), "finite at every valid step"),
        (np.full((4, 40, 2), "a"), "one array of numbers"),
        (np.zeros((4, 0, 2)), "a valid step in each row.*row 0"),
    ],
)
def test_data_that_no_threshold_can_be_taken_from_is_refused(data, words):
    with pytest.raises(ValueError, match=words):
        MiniRocket(num_steps=40).adapt(data)


def test_masks_and_channels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"booleans in the shape.*\(4, 40\)"):
        MiniRocket().adapt(series(), mask=np.ones((4, 39), bool))
    with pytest.raises(ValueError, match=r"built for 2 of them.*3 channels"):
        adapted(series()).adapt(series(channels=3))


def test_before_adapt_a_call_is_refused():
    with pytest.raises(ValueError, match=r"thresholds that it takes from data.*adapt"):
        MiniRocket()(series())


@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("features_per_kernel", 0, "number of thresholds of each kernel"),
        ("num_steps", 2.5, "length of the widest kernels"),
        ("max_dilations", 0, "most dilations"),
        ("seed", -1, "draws channels and rows"),
    ],
)
def test_arguments_out_of_range_are_refused(argument, value, words):
    with pytest.raises(ValueError, match=words):
        MiniRocket(**{argument: value})


def test_a_loaded_model_gives_the_same(tmp_path):
    x = series()
    model = keras.Sequential([keras.Input((40, 2)), adapted(x)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_equal(loaded(x), model(x))
