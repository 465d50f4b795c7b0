"""`TextClassifier`: the linear model of words and pairs beside its network."""

import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal
from keras import ops
from sklearn.linear_model import LogisticRegression

from keras_trainkit import data, models
from keras_trainkit.estimators import TextClassifier
from keras_trainkit.estimators._outputs import rows_at_once
from keras_trainkit.estimators._sequence_recipe import chosen_for_texts
from keras_trainkit.layers import Bigrams

SMALL = {"units": (4,), "embedding_units": 8, "epochs": 2, "random_state": 0}
WORDS = ["so", "good", "bad", "film", "not", "very"]


def opinions(rows, classes=2, seed=0):
    """Texts whose class is told by pairs alone, each fourth by chance."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(1, 9))) for _ in range(rows)]
    told = [text.count("not good") + 2 * text.count("so bad") for text in texts]
    y = np.where(rng.random(rows) < 0.25, rng.integers(0, classes, rows), told)
    return texts, y % classes


def counts_by_hand(texts):
    """1 where a text has the word or pair, and their names, without the kit."""
    bags = []
    for text in texts:
        words = ["<", *text.split(), ">"]
        bags.append({*words[1:-1], *zip(words[:-1], words[1:], strict=True)})
    names = sorted(set().union(*bags), key=str)
    return np.array([[name in bag for name in names] for bag in bags], float)


def log_odds_by_hand(x, is_class, unseen, weights=None):
    """Of class against others: naive Bayes' ratios, times logistic regression."""
    weights = np.ones(len(x)) if weights is None else weights
    yes = weights[is_class] @ x[is_class] + 1
    no = weights[~is_class] @ x[~is_class] + 1
    ratio = np.log(yes / yes.sum()) - np.log(no / no.sum())
    found = LogisticRegression(max_iter=1000).fit(x * ratio, is_class, weights)
    return found.decision_function(unseen * ratio)


def logits_of(classifier, texts):
    return classifier.model_.predict(classifier._encoded(texts), verbose=0)


@pytest.mark.parametrize("classes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_alone_it_is_logistic_regression_of_what_naive_bayes_weighs(classes):
    texts, y = opinions(120, classes)
    alone = TextClassifier(linear_weight=1, validation=0.2, **SMALL).fit(texts, y)
    x = counts_by_hand(texts)
    of_classes = range(1, 2) if classes == 2 else range(classes)
    expected = [log_odds_by_hand(x, y == number, x) for number in of_classes]
    assert_close(logits_of(alone, texts), np.stack(expected, axis=1), atol=2e-2)
    assert alone.history_ == {}
    assert alone.recipe_["linear_weight"] == {"value": 1, "reason": "given"}
    pairs = {pair for text in texts for pair in _pairs(text)}
    reason = "all pairs that the texts have"
    assert alone.recipe_["num_bigrams"] == {"value": len(pairs), "reason": reason}


def _pairs(text):
    words = ["", *text.split(), ""]
    return zip(words[:-1], words[1:], strict=True)


def test_alone_it_trains_no_network(tmp_path):
    class Refuses(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise AssertionError("a network is trained")

    texts, y = opinions(60)
    alone = TextClassifier(linear_weight=1, keras_callbacks=[Refuses()], **SMALL)
    alone.fit(texts, y).save(tmp_path / "alone")
    same = TextClassifier.load(tmp_path / "alone")
    assert_close(same.predict_proba(texts), alone.predict_proba(texts))
    page = same.report(tmp_path / "page.html", texts, y)
    assert "Curves" not in page.read_text()


def test_rows_of_validation_are_told_by_what_was_fitted_without_them():
    """By their scores, of which the sets are made: from 1 less a probability."""
    texts, y = opinions(100)
    rows = np.arange(80, 100)
    alone = TextClassifier(linear_weight=1, validation=rows, **SMALL).fit(texts, y)
    x = counts_by_hand(texts)
    logits = log_odds_by_hand(x[:80], y[:80] == 1, x[80:])
    sure = np.where(y[80:] == 1, logits, -logits) / alone.temperature_
    expected = np.sort(1 - 1 / (1 + np.exp(-sure)))
    assert_close(alone.conformity_scores_, expected, atol=5e-3)


@pytest.mark.slow
def test_beside_a_network_probabilities_are_averaged_as_its_weight_says():
    texts, y = opinions(80, 3)
    shares = (0, 0.25, 1)
    made = [TextClassifier(linear_weight=w, **SMALL).fit(texts, y) for w in shares]
    network, both, linear = (
        ops.convert_to_numpy(ops.softmax(logits_of(one, texts))) for one in made
    )
    assert_close(both, 0.75 * network + 0.25 * linear, atol=1e-5)
    assert made[0].recipe_["num_bigrams"]["value"] == 0
    default = TextClassifier(**SMALL).fit(texts, y)
    found = ops.convert_to_numpy(ops.softmax(logits_of(default, texts)))
    assert_close(found, (network + linear) / 2, atol=1e-5)


def test_weights_of_rows_count_in_it():
    texts, y = opinions(100)
    weights = np.where(y == 1, 3.0, 0.5)
    arguments = {"linear_weight": 1, "validation": np.arange(80, 100), **SMALL}
    alone = TextClassifier(**arguments).fit(texts, y, weights)
    x, relative = counts_by_hand(texts), weights / weights[:80].mean()
    expected = log_odds_by_hand(x, y == 1, x, relative)
    assert_close(logits_of(alone, texts)[:, 0], expected, atol=2e-2)


@pytest.mark.slow
def test_in_folds_linear_models_count_alone_too():
    texts, y = opinions(60)
    alone = TextClassifier(folds=3, linear_weight=1, **SMALL).fit(texts, y)
    x, folds = counts_by_hand(texts), data.folds(texts, 3, stratify=y, seed=0)
    odds = [log_odds_by_hand(x[rows.train], y[rows.train] == 1, x) for rows in folds]
    expected = np.mean([1 / (1 + np.exp(-one)) for one in odds], axis=0)
    found = ops.convert_to_numpy(ops.sigmoid(logits_of(alone, texts)))[:, 0]
    assert_close(found, expected, atol=5e-3)
    assert len(alone.conformity_scores_) == 60 and alone.history_ == {}


@pytest.mark.slow
def test_in_folds_each_row_is_told_once(tmp_path):
    texts, y = opinions(60, 3)
    both = TextClassifier(folds=3, **SMALL).fit(texts, y)
    assert len(both.conformity_scores_) == 60
    networks = [one for one in both.model_.layers if isinstance(one, keras.Model)]
    assert len(networks) == 6  # and a linear model of the same rows for each
    scores = models.attention_scores(both.model_)
    found = scores.predict(both._encoded(texts), verbose=0)
    assert_close(found.sum(axis=1), np.ones(60), atol=1e-5)
    both.save(tmp_path / "both")
    same = TextClassifier.load(tmp_path / "both")
    assert_close(same.predict_proba(texts), both.predict_proba(texts))
    assert_equal(same.predict_set(texts), both.predict_set(texts))


def test_the_most_pairs_follow_the_classes():
    for outputs, most in ((1, 200_000), (20, 200_000), (1_000, 4_000)):
        chosen = chosen_for_texts(900, outputs, "default", {})["num_bigrams"]
        assert chosen["value"] == most


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_bigrams": -1}, "`num_bigrams` is the number of pairs of words"),
        ({"num_bigrams": 0, "linear_weight": 0.5}, "with `num_bigrams` 0"),
        ({"loss": "binary_crossentropy", "linear_weight": 1}, "a `loss` and no `num_b"),
        ({"linear_weight": 1.5}, "`linear_weight` is the share .*at most 1"),
    ],
)
def test_arguments_out_of_range_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        TextClassifier(**given).fit(["a b", "b c"] * 4, [0, 1] * 4)


@pytest.mark.slow
def test_another_loss_has_no_linear_model():
    texts, y = opinions(40)
    loss = keras.losses.BinaryFocalCrossentropy(from_logits=True)
    found = TextClassifier(loss=loss, **SMALL).fit(texts, y).recipe_
    assert found["num_bigrams"]["value"] == found["linear_weight"]["value"] == 0
    assert "the given loss" in found["num_bigrams"]["reason"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:40 of 40 texts have more than 250 words")
def test_it_reads_more_of_a_long_text_than_the_network():
    words = WORDS * 60  # 360, of which the network reads 250
    texts = [" ".join([*start, *words]) for start in (["best"], ["worst"]) * 20]
    y = [1, 0] * 20
    both = TextClassifier(**SMALL).fit(texts, y)
    assert both.score(texts, y) == 1
    network = both.model_.get_layer("network_1")
    ids = both._encoded(texts)
    assert ids.shape == (40, 361)
    found = [ops.convert_to_numpy(network(read)) for read in (ids, ids[:, -250:])]
    assert_close(*found, atol=1e-6)
    given = TextClassifier(linear_weight=1, max_length=250, **SMALL).fit(texts, y)
    assert given.recipe_["linear_length"]["value"] == 250
    assert_close(*given.predict_proba(texts[:2]))


@pytest.mark.slow
def test_words_beyond_the_largest_vocabulary_are_one(monkeypatch, tmp_path):
    monkeypatch.setattr(Bigrams, "max_vocabulary_size", 5)
    texts, y = opinions(60)
    for share in (None, 1):
        both = TextClassifier(linear_weight=share, **SMALL).fit(texts, y)
        both.save(tmp_path / f"{share}")
        same = TextClassifier.load(tmp_path / f"{share}")
        assert_close(same.predict_proba(texts), both.predict_proba(texts))
    (bigrams,) = (one for one in both.model_.layers if isinstance(one, Bigrams))
    assert bigrams.vocabulary_size == 5


@pytest.mark.slow
def test_in_half_precision_what_validation_rows_are_told_keeps_its_digits():
    """Temperature, sets and scores are made of it."""

    class Keeps(TextClassifier):
        def _after_training(self, outputs, y, validated):
            self.outputs = outputs
            super()._after_training(outputs, y, validated)

    texts, y = opinions(60)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        both = Keeps(**SMALL).fit(texts, y)
    finally:
        keras.config.set_dtype_policy(before)
    assert both.outputs.dtype == "float32"
    assert not np.array_equal(both.outputs, both.outputs.astype("float16"))


def test_few_long_texts_are_read_together():
    """A linear model of many classes keeps two vectors for each word of all of them."""
    for words, rows in ((100, 1024), (1000, 131)):
        assert rows_at_once(np.zeros((5000, words), "int32")) == rows


@pytest.mark.slow
def test_pairs_without_a_share_leave_the_network_alone():
    texts, y = opinions(40)
    made = [
        TextClassifier(linear_weight=0, num_bigrams=count, **SMALL).fit(texts, y)
        for count in (None, 5)
    ]
    assert_close(*(one.predict_proba(texts) for one in made))
