import numpy as np
import pytest
from keras import ops

from keras_trainkit.analysis import calibration_error


def drawn(rows=500, classes=4):
    rng = np.random.default_rng(7)
    logits = rng.normal(size=(rows, classes), scale=2.0)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return rng.integers(classes, size=rows), probabilities


def slowly(outcome, confidence, edges):
    """Guo et al., equation 3, one bin (low, high] after the other."""
    total = 0.0
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = abs(outcome[inside].mean() - confidence[inside].mean())
            total += inside.mean() * gap
    return total


@pytest.mark.parametrize("bins", [1, 7, 15, 1000])
def test_classes_by_the_confidence_in_the_one_predicted(bins):
    y, probabilities = drawn()
    right, highest = probabilities.argmax(1) == y, probabilities.max(1)
    expected = slowly(right, highest, np.linspace(0, 1, bins + 1))
    assert calibration_error(y, probabilities, bins) == pytest.approx(expected)


@pytest.mark.parametrize("bins", [1, 7, 15])
@pytest.mark.parametrize("shape", [(500,), (500, 1)])
def test_two_classes_by_the_probability_of_label_1(bins, shape):
    y, probability = drawn()[0] % 2, drawn()[1][:, 2]
    expected = slowly(y, probability, np.linspace(0, 1, bins + 1))
    came = calibration_error(y.reshape(shape), probability.reshape(shape), bins)
    assert came == pytest.approx(expected)


@pytest.mark.parametrize("bins", [5, 20])
def test_bins_of_equal_mass_hold_equally_many_rows(bins):
    y, probabilities = drawn()
    right, highest = probabilities.argmax(1) == y, probabilities.max(1)
    parts = np.array_split(np.argsort(highest), bins)  # 500 rows: 100 or 25 each
    gaps = [abs(right[p].mean() - highest[p].mean()) / bins for p in parts]
    came = calibration_error(y, probabilities, bins, binning="mass")
    assert came == pytest.approx(sum(gaps))


@pytest.mark.parametrize(
    ("y", "probabilities", "bins", "binning", "expected"),
    [
        # |1 - 1.2| and |2 - 1.8| in two bins, over 4 rows
        ([1, 0, 1, 1], [0.6, 0.6, 0.9, 0.9], 10, "width", 0.1),
        # one bin, in which the gaps cancel: 3 - 3.0
        ([1, 0, 1, 1], [0.6, 0.6, 0.9, 0.9], 1, "width", 0.0),
        # 0.5 belongs to the lower of two bins: |1 - 1.0| + |1 - 0.75|, over 3
        ([0, 1, 1], [0.5, 0.5, 0.75], 2, "width", 0.25 / 3),
        # 0 and 1 have a bin: |1 - 0| + |0 - 1|, over 2
        ([1, 0], [0.0, 1.0], 15, "width", 1.0),
        # two rows each: |1 - 0.3| + |1 - 1.5|, over 4
        ([0, 1, 0, 1], [0.1, 0.2, 0.7, 0.8], 2, "mass", 0.3),
        # equal ones stay together: |1 - 0.9| + |1 - 0.8|, over 4
        ([1, 0, 0, 1], [0.3, 0.3, 0.3, 0.8], 2, "mass", 0.075),
        # more bins than rows: each row by itself
        ([1, 0], [0.25, 0.5], 15, "mass", 0.625),
        # the second class of two classes: confidences 0.8, 0.7, both right
        ([0, 1], [[0.8, 0.2], [0.3, 0.7]], 15, "width", 0.25),
    ],
)
def test_small_cases_by_hand(y, probabilities, bins, binning, expected):
    came = calibration_error(y, probabilities, bins, binning=binning)
    assert came == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("binning", ["width", "mass"])
def test_the_order_of_rows_does_not_matter(binning):
    y, probabilities = drawn()
    rng = np.random.default_rng(1)
    probabilities = rng.multinomial(16, probabilities) / 16  # with many equal ones
    order = rng.permutation(500)
    came = calibration_error(y[order], probabilities[order], binning=binning)
    assert came == pytest.approx(calibration_error(y, probabilities, binning=binning))


def test_outcomes_drawn_from_the_probabilities_are_calibrated():
    rng = np.random.default_rng(0)
    probability = rng.random(200_000)
    y = rng.random(200_000) < probability
    assert calibration_error(y, probability) < 0.005
    # Twice as sure in log-odds: the mean of |p - p^2 / (p^2 + (1 - p)^2)| is 0.0966.
    sure = probability**2 / (probability**2 + (1 - probability) ** 2)
    assert calibration_error(y, sure) == pytest.approx(0.0966, abs=0.004)


def test_tensors_and_half_precision_are_read():
    y, probabilities = drawn()
    expected = calibration_error(y, probabilities)
    tensors = ops.convert_to_tensor(y), ops.convert_to_tensor(probabilities, "float32")
    assert calibration_error(*tensors) == pytest.approx(expected, abs=1e-6)
    halves = probabilities.astype("float16")
    assert calibration_error(y, halves) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bins": 0}, "bins of confidence .* Received: bins=0"),
        ({"binning": "equal"}, "have in common.*'width', 'mass'.*binning='equal'"),
        ({"probabilities": []}, r"at least one. Received: float64 of shape \(0,\)"),
        ({"probabilities": np.zeros((2, 2, 2))}, r"of shape \(2, 2, 2\)"),
        ({"probabilities": ["a", "b"]}, "must be numbers"),
        ({"probabilities": [-0.5, 0.5]}, "from 0 to 1 .* 1 that are not, such as -0.5"),
        ({"probabilities": [np.nan, 0.5]}, "from 0 to 1 .* such as nan"),
        (
            {"probabilities": [[0.9, 0.9], [0.5, 0.5]]},
            "the sum 1 .* sums from 1.0 to 1.8",
        ),
        ({"y": [0, 1, 1]}, r"each of the 2 rows.*of shape \(3,\)"),
        ({"y": [0, 2]}, "from 0 to 1. Received: int64 of shape .*0 2"),
        ({"y": [[0, 1], [1, 0]]}, r"each of the 2 rows.*\(2, 2\)"),
        ({"y": [0.5, 1]}, "whole numbers from 0 to 1"),
        ({"y": ["no", "yes"]}, "whole numbers from 0 to 1"),
    ],
)
def test_refuses_what_is_no_probability_or_no_label(arguments, words):
    with pytest.raises(ValueError, match=words):
        calibration_error(**{"y": [0, 1], "probabilities": [0.25, 0.5], **arguments})
