import numpy as np
import pytest
import tensorflow as tf

from keras_trainkit.serving._examples import arrays_of

pytestmark = pytest.mark.tensorflow_only

ONE = {"steps": tf.TensorSpec((None, None, 2), "float32", "steps")}
TWO = {
    "tokens": tf.TensorSpec((None, 3), "int32", "tokens"),
    "city": tf.TensorSpec((None,), "string", "city"),
}
STEPS = np.arange(12.0).reshape(2, 3, 2)
TOKENS = np.array([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("given", [STEPS, {"steps": STEPS}, [STEPS], STEPS.tolist()])
def test_a_single_input_takes_an_array_a_dict_or_a_list(given):
    arrays = arrays_of(given, ONE)
    assert arrays["steps"].dtype == "float32"
    np.testing.assert_array_equal(arrays["steps"], STEPS)


def test_a_list_of_one_row_is_a_row_not_a_list_of_inputs():
    city = {"city": TWO["city"]}
    assert arrays_of(["Rome"], city)["city"].tolist() == [b"Rome"]
    assert arrays_of([np.array(["Oslo", "Rome"])], city)["city"].shape == (2,)
    assert arrays_of(STEPS[:1].tolist(), ONE)["steps"].shape == (1, 3, 2)


def test_a_list_is_in_the_order_of_the_inputs():
    arrays = arrays_of([TOKENS, ["Rome", "Oslo"]], TWO)
    assert arrays["tokens"].dtype == "int32"
    assert arrays["city"].tolist() == [b"Rome", b"Oslo"]


def test_text_becomes_utf_8_and_bytes_stay():
    cities = np.array(["Zürich", b"\xff\x00", "", "nul\x00"], dtype=object)
    tokens = np.zeros((4, 3), "uint8")
    arrays = arrays_of({"city": cities, "tokens": tokens}, TWO)
    assert arrays["city"].tolist() == [b"Z\xc3\xbcrich", b"\xff\x00", b"", b"nul\x00"]


def test_missing_values_of_floats_are_kept():
    given = STEPS.copy()
    given[1, 2, 0] = np.nan
    given[0, 0, 1] = np.inf
    np.testing.assert_array_equal(arrays_of(given, ONE)["steps"], given)


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        ({"steps": STEPS}, r"input names \['tokens', 'city'\].*Received: \['steps'\]"),
        ([TOKENS], r"a list of arrays in that order"),
        (TOKENS, r"input names \['tokens', 'city'\].*ndarray"),
        ([TOKENS, ["Rome"]], r"same number of rows.*'tokens': 2, 'city': 1"),
        ([TOKENS[:0], []], r"'city'.*strings or bytes|rows, at least 1"),
        ([TOKENS[:, :2], ["Rome", "Oslo"]], r"shape \(None, 3\).*shape=\(2, 2\)"),
        ([TOKENS / 2, ["Rome", "Oslo"]], r"type that int32 holds.*float64 array"),
        ([TOKENS * 10**10, ["Rome", "Oslo"]], r"values that fit int32.*10000000000"),
        ([[[1, 2, 3], [4]], ["Rome", "Oslo"]], r"rows of one shape.*'tokens'.*\[4\]"),
        ([TOKENS, [3, 4]], r"'city', hold strings or bytes.*\[3 4\]"),
        ([TOKENS, ["Rome", None]], r"'city', hold strings or bytes.*object"),
    ],
)
def test_examples_that_do_not_fit_are_refused(examples, words):
    with pytest.raises(ValueError, match=r"`examples` are sent .* must.*" + words):
        arrays_of(examples, TWO)


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        (STEPS[:0], "at least 1.*'steps': 0"),
        (STEPS[0], r"shape \(None, None, 2\).*shape=\(3, 2\)"),
        (5.0, r"shape \(None, None, 2\).*shape=\(\)"),
        (STEPS * 1e300, "values that fit float32"),
        (STEPS.astype(str), "type that float32 holds"),
        (STEPS > 3, "type that float32 holds.*bool"),
        (np.ma.array(["a"], mask=[True]), "type that float32 holds"),
        (STEPS + 1j, "type that float32 holds.*complex"),
    ],
)
def test_a_single_input_is_checked_the_same_way(examples, words):
    with pytest.raises(ValueError, match=words):
        arrays_of(examples, ONE)


def test_what_a_mask_hides_is_missing():
    masked = np.ma.array(STEPS, mask=STEPS.max() == STEPS)
    found = arrays_of(masked, ONE)["steps"]
    np.testing.assert_array_equal(np.isnan(found), STEPS.max() == STEPS)
    tokens = np.ma.array(TOKENS, mask=TOKENS.max() == TOKENS)
    with pytest.raises(ValueError, match="type that int32 holds.*float64"):
        arrays_of([tokens, ["Rome", "Oslo"]], TWO)
