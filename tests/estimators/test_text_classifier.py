"""The estimator of texts: from raw texts to files and served models."""

import json
import pickle

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from keras_trainkit import callbacks, data, models, optimizers
from keras_trainkit.estimators import TextClassifier

SMALL = {"units": (4,), "embedding_units": 8, "epochs": 2, "batch_size": 8}
SMALL |= {"learning_rate": 0.02, "dropout": 0.0, "random_state": 3}
TEXTS = ["so good", "Good film!", "what a bad film", "bad, bad"] * 8
OPINIONS = np.array(["pro", "pro", "con", "con"] * 8)


@pytest.fixture(scope="module")
def classifier():
    return TextClassifier(validation=0.25, **SMALL).fit(TEXTS, OPINIONS)


def test_texts_are_classified(classifier):
    assert classifier.classes_.tolist() == ["con", "pro"]
    found = classifier.predict_proba(["so so good", "", "né 好", "unseen words"])
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    most = classifier.classes_[found.argmax(axis=1)]
    texts = ["so so good", "", "né 好", "unseen words"]
    assert classifier.predict(texts).tolist() == most.tolist()
    assert classifier.predict_set(TEXTS[:3], coverage=0.8).shape == (3, 2)
    words = classifier.vectorization_.get_vocabulary(include_special_tokens=False)
    assert set(words) == {"bad", "good", "film", "so", "what", "a"}
    assert not hasattr(classifier, "n_features_in_")


def test_a_text_does_not_depend_on_the_texts_beside_it(classifier):
    found = classifier.predict_proba([*TEXTS[:4], "so " * 40])
    alone = [classifier.predict_proba([text])[0] for text in TEXTS[:2]]
    np.testing.assert_allclose(alone, found[:2], atol=1e-6)


def test_pickled_and_saved_it_predicts_the_same(classifier, tmp_path):
    path = classifier.save(tmp_path / "opinions")
    files = {file.name for file in path.iterdir()}
    assert files == {"model.keras", "estimator.json"}
    for same in (TextClassifier.load(path), pickle.loads(pickle.dumps(classifier))):
        texts = [*TEXTS[:4], "", "unseen"]
        np.testing.assert_array_equal(
            same.predict_proba(texts), classifier.predict_proba(texts)
        )
        assert (same.recipe_, same.history_) == (
            classifier.recipe_,
            classifier.history_,
        )
        assert same.get_params() == classifier.get_params()


@pytest.mark.slow
def test_the_words_stay_those_of_fit(classifier, tmp_path):
    """Whatever is split, a copy reads texts as the estimator does."""
    changed = pickle.loads(pickle.dumps(classifier)).set_params(split="character")
    path = changed.save(tmp_path / "opinions")
    expected = classifier.predict_proba(TEXTS[:4])
    copies = TextClassifier.load(path), pickle.loads(pickle.dumps(changed))
    for same in (changed, *copies):
        np.testing.assert_array_equal(same.predict_proba(TEXTS[:4]), expected)
        assert same.split == "character"


def test_letters_outside_ascii_stay_as_they_are(classifier):
    """As the pages say; Keras lowers those of ASCII alone."""
    words = classifier.vectorization_
    numbers = keras.ops.convert_to_numpy(words(["GOOD", "ÄRGER"]))
    known = words.get_vocabulary(include_special_tokens=False).index("good")
    assert numbers.tolist() == [[known + 2], [1]]
    fresh = keras.layers.TextVectorization()
    fresh.adapt(["ÄRGER Gut", "ärger gut"])
    assert set(fresh.get_vocabulary()[2:]) == {"Ärger", "ärger", "gut"}


@pytest.fixture(scope="module")
def saved(classifier, tmp_path_factory):
    return classifier.save(tmp_path_factory.mktemp("saved") / "opinions")


@pytest.mark.parametrize(
    "edit",
    [
        lambda fields: {**fields, "words": [*fields["words"], "new"]},
        lambda fields: {**fields, "words": ["bad"] * 6},
        lambda fields: {**fields, "words": [*fields["words"][:5], ""]},
        lambda fields: {**fields, "words": [*fields["words"][:5], 7]},
        lambda fields: {**fields, "words": "abcdef"},
        lambda fields: {**fields, "words": 7},
        lambda fields: {**fields, "split": "new"},
        lambda fields: {k: v for k, v in fields.items() if k != "words"},
        lambda fields: {k: v for k, v in fields.items() if k != "split"},
        lambda fields: {**fields, "arguments": {"new": 7}},
    ],
)
def test_an_edited_folder_is_refused(edit, saved, tmp_path):
    path = tmp_path / "edited"
    path.mkdir()
    for file in saved.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    fields = json.loads((path / "estimator.json").read_text())
    (path / "estimator.json").write_text(json.dumps(edit(fields)))
    with pytest.raises(ValueError, match="^`path` is the folder of a saved"):
        TextClassifier.load(path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"X": [1.0, 2.0, 3.0, 4.0]}, "^`X` holds the texts, .*must hold texts alone"),
        ({"X": ["a", None, "b", "c"]}, "^`X` holds the texts, .*may miss none"),
        ({"X": ["", "?", "!", " "]}, "must have a word in the training rows"),
        ({"y": [1, 1, 1, 1]}, "^`y` .*must have two classes or more"),
        ({"y": [1, 0]}, "^`y` .*an entry for each of the 4 rows"),
        ({"max_tokens": 2}, "^`max_tokens` is the number of words .*at least 3"),
        ({"embedding_units": 0}, "^`embedding_units` is the number of units"),
        ({"split": "word"}, "^`split` says what is a word"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_before_training(given, words):
    given = {"X": ["a b", "b c", "c d", "d e"], "y": [0, 1, 0, 1], **given}
    sent = {name: given.pop(name) for name in ("X", "y")}
    with pytest.raises(ValueError, match=words):
        TextClassifier(**given).fit(**sent)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("verbose", [0, 2])
def test_what_takes_time_before_the_first_epoch_is_said_once(verbose, capsys):
    arguments = {**SMALL, "epochs": 1, "folds": 2, "vector_epochs": 1}
    TextClassifier(**arguments, verbose=verbose).fit(TEXTS, OPINIONS)
    said = capsys.readouterr().out
    assert said.count("passes over the training texts: 1\n") == (verbose > 0)


def test_vectors_of_words_need_a_text_of_two():
    words = (
        "^`vector_epochs` .* must be 0 .* Received: vector_epochs=2, and 24 training"
    )
    classifier = TextClassifier(validation=0.25, vector_epochs=2, **SMALL)
    with pytest.raises(ValueError, match=words):
        classifier.fit(["good", "bad", "", "bad!"] * 8, OPINIONS)


def test_it_is_cloned_with_its_arguments_and_says_what_it_takes():
    given = TextClassifier(max_tokens=50, split="character")
    assert clone(given).get_params() == given.get_params()
    tags = given.__sklearn_tags__().input_tags
    assert tags.string and not tags.two_d_array


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_a_pipeline_is_cross_validated():
    lower = FunctionTransformer(lambda texts: texts.str.lower())
    pipeline = make_pipeline(lower, TextClassifier(validation=0.25, **SMALL))
    frame = pd.Series(TEXTS, index=np.arange(32)[::-1])
    scores = cross_val_score(pipeline, frame, OPINIONS == "pro", cv=2)
    assert scores.shape == (2,) and np.isfinite(scores).all()


@pytest.mark.slow
def test_in_folds_every_text_is_trained_on():
    opinions = np.resize(["bad", "fair", "good"], 32)
    classifier = TextClassifier(folds=2, **SMALL).fit(TEXTS, opinions)
    assert len(classifier.conformity_scores_) == 32
    assert classifier.history_["fold"] == [0, 0, 1, 1]
    assert classifier.predict_proba(TEXTS).shape == (32, 3)
    same = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(same.predict(TEXTS), classifier.predict(TEXTS))


@pytest.mark.slow
@pytest.mark.parametrize("vector_epochs", [0, 2])
def test_the_same_lines_in_keras_give_the_same_weights(vector_epochs, classifier):
    if vector_epochs:
        arguments = {**SMALL, "validation": 0.25, "vector_epochs": vector_epochs}
        classifier = TextClassifier(**arguments).fit(TEXTS, OPINIONS)
    chosen = {name: choice["value"] for name, choice in classifier.recipe_.items()}
    keras.utils.set_random_seed(chosen["seed"])
    classes, y = np.unique(OPINIONS, return_inverse=True)
    parts = data.split(TEXTS, validation=0.25, test=None, stratify=y, seed=3)
    vectorization = keras.layers.TextVectorization(chosen["max_tokens"])
    vectorization.adapt([TEXTS[row] for row in parts.train])
    tokens = keras.ops.convert_to_numpy(vectorization(TEXTS))
    x, _ = data.pad_sequences([row[row > 0] for row in tokens])
    vectors = None
    if chosen["vector_epochs"]:
        vectors = data.word_vectors(
            [TEXTS[row] for row in parts.train],
            vectorization,
            chosen["embedding_units"],
            epochs=chosen["vector_epochs"],
        )
    model = models.bilstm_attention(
        (None,),
        1,
        chosen["units"],
        vocabulary_size=vectorization.vocabulary_size(),
        embedding_units=chosen["embedding_units"],
        embedding_matrix=vectors,
        max_length=chosen["max_length"],
        dropout=chosen["dropout"],
        recurrent_dropout=chosen["recurrent_dropout"],
        task="binary",
        classes=classes.tolist(),
    )
    model.compile(
        optimizers.AdamW(
            chosen["learning_rate"],
            weight_decay=chosen["weight_decay"],
            global_clipnorm=chosen["global_clipnorm"],
        ),
        models.loss_for(model, label_smoothing=chosen["label_smoothing"]),
        metrics=models.metrics_for(model),
    )
    y = y[:, None].astype("float32")
    model.fit(
        x[parts.train],
        y[parts.train],
        validation_data=(x[parts.validation], y[parts.validation]),
        epochs=chosen["epochs"],
        batch_size=chosen["batch_size"],
        callbacks=[
            callbacks.CooldownOnPlateau(min_epoch_steps=chosen["min_epoch_steps"])
        ],
        verbose=0,
    )
    assert chosen["vector_epochs"] == vector_epochs
    network = classifier.model_.get_layer("network_1")  # beside a linear model
    pairs = zip(model.weights, network.weights, strict=True)
    for weight, same in pairs:
        np.testing.assert_array_equal(
            *(keras.ops.convert_to_numpy(w) for w in (weight, same)), weight.path
        )


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_the_export_takes_raw_texts(classifier, tmp_path):
    import tensorflow as tf

    path = classifier.export(tmp_path / "served", coverage=0.8)
    serve = tf.saved_model.load(path).signatures["serving_default"]
    texts = [*TEXTS[:4], "", "unseen words"]
    answer = {k: v.numpy() for k, v in serve(text=tf.constant(texts)).items()}
    assert set(answer) == {"probabilities", "classes", "label", "set"}
    assert answer["label"].astype(str).tolist() == list(classifier.predict(texts))
    expected = classifier.predict_proba(texts)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
