import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops

from keras_trainkit import layers, models, optimizers

IDS = np.array([[2, 3, 4, 0], [3, 2, 4, 0], [5, 3, 4, 2], [2, 5, 0, 0]])


def adapted_bigrams(size=6, count=12):
    bigrams = layers.Bigrams(size, count)
    bigrams.adapt(IDS)
    return bigrams


def test_it_is_linear_in_the_words_and_pairs_that_a_text_has():
    bigrams = adapted_bigrams()
    model = models.bag_of_words((None,), 2, bigrams, task="classification")
    rng = np.random.default_rng(0)
    vectors, kernel, bias = (rng.normal(size=size) for size in ((18, 2), (2, 2), 2))
    model.get_layer("weights").set_weights([vectors])
    model.layers[-1].set_weights([kernel, bias])
    numbers = ops.convert_to_numpy(bigrams(IDS))
    expected = [vectors[row[row > 0]].sum(axis=0) @ kernel + bias for row in numbers]
    assert_close(model(IDS), expected, rtol=1e-5, atol=1e-5)


def test_it_tells_texts_of_the_same_words_by_their_order():
    order = np.array([[2, 3], [3, 2]] * 8)
    bigrams = layers.Bigrams(4, 9)
    bigrams.adapt(order)
    model = models.bag_of_words((None,), 1, bigrams, task="binary")
    model.compile(optimizers.AdamW(0.1), models.loss_for(model))
    model.fit(order, np.array([1, 0] * 8), epochs=30, verbose=0)
    found = models.predict_proba(model, order[:2], verbose=0)[:, 1]
    assert found[0] > 0.9 and found[1] < 0.1


@pytest.mark.parametrize("keep", ["start", "end"])
def test_the_end_of_a_longer_text_that_is_kept_is_read(keep):
    bigrams = adapted_bigrams()
    model = models.bag_of_words((None,), 1, bigrams, max_length=2, keep=keep)
    rng = np.random.default_rng(0)
    model.get_layer("weights").set_weights([rng.normal(size=(18, 1))])
    ends = {"start": [[2, 3], [3, 2], [5, 3], [2, 5]]}
    ends["end"] = [[3, 4], [2, 4], [4, 2], [2, 5]]
    assert_close(model(IDS), model(np.array(ends[keep])), rtol=1e-5)


def test_beside_a_network_it_is_half_of_an_ensemble(tmp_path):
    arguments = {"task": "classification", "classes": ["a", "b", "c"]}
    linear = models.bag_of_words((None,), 3, adapted_bigrams(), **arguments)
    rng = np.random.default_rng(0)
    linear.get_layer("weights").set_weights([rng.normal(size=(18, 3))])
    network = models.bilstm_attention(
        (None,), 3, (4,), vocabulary_size=9, embedding_units=4, **arguments
    )
    both = models.ensemble([network, linear])
    of_each = [models.predict_proba(one, IDS, verbose=0) for one in (network, linear)]
    found = models.predict_proba(both, IDS, verbose=0)
    assert_close(found, np.mean(of_each, axis=0), atol=1e-6)
    scores = models.attention_scores(both)  # of the one network that attends
    assert_close(scores(IDS), models.attention_scores(network)(IDS))
    both.save(tmp_path / "both.keras")
    copy = keras.saving.load_model(tmp_path / "both.keras")
    assert_close(copy(IDS), both(IDS))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bigrams": None}, "`bigrams` gives the numbers .*bigrams=None"),
        ({"input_shape": (None, 3)}, "`input_shape` is the shape of one sequence"),
        ({"outputs": 1, "task": "classification"}, "`outputs` is the number of class"),
        ({"max_length": 0}, "`max_length` is the number of steps to keep"),
        ({"name": ""}, "`name` names the model"),
    ],
)
def test_arguments_out_of_range_are_refused(given, words):
    arguments = {"input_shape": (None,), "outputs": 2, "bigrams": adapted_bigrams()}
    with pytest.raises(ValueError, match=words):
        models.bag_of_words(**{**arguments, **given})
