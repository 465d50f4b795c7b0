"""What classifier and regressor share: files, pickles, export, importances."""

import json
import pickle

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score

from keras_trainkit.estimators import TableClassifier, TableRegressor

METRICS = {"classifier": "accuracy", "regressor": "r2"}
FITTED = pytest.mark.parametrize("kind", list(METRICS))
ONE_SLOW = pytest.mark.parametrize(
    "kind", ["classifier", pytest.param("regressor", marks=pytest.mark.slow)]
)


@pytest.fixture
def fitted(kind, request):
    return request.getfixturevalue(kind)


def assert_same(one, other, frame):
    methods = ["predict"]
    if isinstance(one, TableClassifier):
        methods += ["predict_proba", "predict_set"]
        assert one.classes_.dtype == other.classes_.dtype
    else:
        methods += ["predict_interval"]
    for method in methods:
        np.testing.assert_array_equal(
            getattr(one, method)(frame), getattr(other, method)(frame)
        )
    assert one.get_params() == other.get_params()
    assert (one.recipe_, one.history_) == (other.recipe_, other.history_)


@FITTED
def test_a_pickle_predicts_the_same(fitted, frame):
    assert_same(fitted, pickle.loads(pickle.dumps(fitted)), frame)


@FITTED
def test_a_saved_folder_predicts_the_same(fitted, frame, tmp_path):
    path = fitted.save(tmp_path / "new" / "houses")
    names = {file.name for file in path.iterdir()}
    assert names == {"model.keras", "encoder.keras", "estimator.json"}
    assert [file.name for file in path.parent.iterdir()] == ["houses"]
    assert_same(fitted, type(fitted).load(path), frame)


def test_a_folder_that_is_there_is_not_written_over(regressor, tmp_path):
    with pytest.raises(ValueError, match="^`path` .*not be there yet"):
        regressor.save(tmp_path)


def test_a_folder_of_another_class_is_refused(regressor, tmp_path):
    path = regressor.save(tmp_path / "houses")
    with pytest.raises(ValueError, match="be of a TableClassifier. .*'TableRegressor'"):
        TableClassifier.load(path)


HOSTILE = [
    lambda fields: [],
    lambda fields: {**fields, "format": 2},
    lambda fields: {**fields, "arguments": {"secret": 1}},
    lambda fields: {**fields, "arguments": {"members": {"dict": 7}}},
    lambda fields: {**fields, "columns": ["rooms"]},
    lambda fields: {**fields, "columns": None},
    lambda fields: {**fields, "history": 7},
    lambda fields: {k: v for k, v in fields.items() if k != "recipe"},
    lambda fields: with_learned(fields, classes={"dtype": "|O", "values": [[1], [2]]}),
    lambda fields: with_learned(fields, classes={"dtype": "<U5", "values": ["a", "b"]}),
    lambda fields: with_learned(fields, classes={"dtype": "V9", "values": ["a", "b"]}),
    lambda fields: with_learned(fields, temperature=-1),
    lambda fields: with_learned(fields, temperature="hot"),
    lambda fields: with_learned(fields, temperature=10**400),
    lambda fields: with_learned(fields, temperature=1e300),
    lambda fields: with_learned(fields, temperature=True),
    lambda fields: with_learned(fields, classes={"dtype": "|i1", "values": [3, 999]}),
    lambda fields: {**fields, "columns": [*fields["columns"], "none of it"]},
    lambda fields: {**fields, "recipe": 7},
    lambda fields: with_learned(fields, conformity_scores="many"),
    lambda fields: with_learned(fields, conformity_scores=[float("nan")] * 50),
    lambda fields: with_learned(fields, conformity_scores=[-5.0] * 50),
    lambda fields: with_learned(fields, conformity_scores=[7.0] * 50),
]
HOSTILE_NUMBERS = [
    {"conformity_scores": []},
    {"conformity_scores": [[None]] * 50},
    {"conformity_scores": [[float("nan")]] * 50},
    {"conformity_scores": [[1.0]] * 49 + [[float("inf")]]},
    {"conformity_scores": [[-5.0]] * 50},
    {"conformity_scores": [[2.0], [1.0]]},
    {"conformity_scores": [[1.0, 1.0]] * 50},
    {"one_axis": None},
    {"one_axis": 0},
    {"one_axis": ""},
]


def with_learned(fields, **changes):
    return {**fields, "learned": {**fields["learned"], **changes}}


@pytest.fixture(scope="module")
def saved(classifier, tmp_path_factory):
    return classifier.save(tmp_path_factory.mktemp("saved") / "houses")


def copied(folder, path):
    path.mkdir()
    for file in folder.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    return path


@pytest.mark.parametrize("edit", HOSTILE)
def test_an_edited_folder_is_refused(edit, saved, tmp_path):
    path = copied(saved, tmp_path / "edited")
    fields = json.loads((path / "estimator.json").read_text())
    (path / "estimator.json").write_text(json.dumps(edit(fields)))
    with pytest.raises(ValueError, match="^`path` is the folder of a saved"):
        TableClassifier.load(path)


@pytest.fixture(scope="module")
def saved_numbers(regressor, tmp_path_factory):
    return regressor.save(tmp_path_factory.mktemp("saved") / "prices")


@pytest.mark.parametrize("edit", HOSTILE_NUMBERS, ids=str)
def test_edited_numbers_of_a_regressor_are_refused(edit, saved_numbers, tmp_path):
    path = copied(saved_numbers, tmp_path / "edited")
    fields = json.loads((path / "estimator.json").read_text())
    (path / "estimator.json").write_text(json.dumps(with_learned(fields, **edit)))
    with pytest.raises(ValueError, match="^`path` is the folder of a saved"):
        TableRegressor.load(path)


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def test_weights_in_half_precision_are_refused(policy, frame, price):
    keras.config.set_dtype_policy(policy)
    try:
        with pytest.raises(ValueError, match=f"the precision and must be.*'{policy}'"):
            TableRegressor(epochs=1).fit(frame, price)
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_recipe_of_fewer_numbers_is_read_by_the_documented_lines(saved, tmp_path):
    path = copied(saved, tmp_path / "earlier")
    fields = json.loads((path / "estimator.json").read_text())
    kept = [pair for pair in fields["recipe"]["dict"] if pair[0] != "min_epoch_steps"]
    assert len(kept) == len(fields["recipe"]["dict"]) - 1
    fields["recipe"]["dict"] = kept
    (path / "estimator.json").write_text(json.dumps(fields))
    assert TableClassifier.load(path).recipe_["min_epoch_steps"]["value"] == 1


@pytest.mark.parametrize("name", ["model.keras", "encoder.keras", "estimator.json"])
@pytest.mark.parametrize("content", [None, b"", b"cos\nsystem\n(S'true'\ntR."])
def test_a_folder_with_a_foreign_or_missing_file_is_refused(
    name, content, saved, tmp_path
):
    path = copied(saved, tmp_path / "foreign")
    (path / name).unlink()
    if content is not None:
        (path / name).write_bytes(content)
    with pytest.raises(ValueError, match="^`path` is the folder of a saved"):
        TableClassifier.load(path)


def test_an_encoder_in_the_place_of_the_model_is_refused(saved, tmp_path):
    path = copied(saved, tmp_path / "exchanged")
    (path / "model.keras").write_bytes((path / "encoder.keras").read_bytes())
    with pytest.raises(ValueError, match="model.keras, ValueError: another file than"):
        TableClassifier.load(path)
    fields = json.loads((path / "estimator.json").read_text())
    del fields["sha256"]  # as in folders of an earlier release
    (path / "estimator.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="a model with its encoder"):
        TableClassifier.load(path)


def test_objects_among_the_arguments_are_not_saved(regressor, tmp_path):
    given = clone(regressor)
    given.__dict__.update({k: v for k, v in vars(regressor).items() if k[-1] == "_"})
    given._column_names, given._one_axis = regressor._column_names, True
    given.set_params(optimizer=keras.optimizers.SGD(), validation=np.arange(3))
    loaded = TableRegressor.load(given.save(tmp_path / "houses"))
    assert (loaded.optimizer, loaded.validation) == (None, [0, 1, 2])


@pytest.mark.tensorflow_only
@pytest.mark.slow
@FITTED
def test_the_export_answers_as_the_estimator(fitted, frame, tmp_path):
    import tensorflow as tf

    path = fitted.export(tmp_path / "served", frame[:3])
    serve = tf.saved_model.load(path).signatures["serving_default"]
    sent = {k: tf.constant(v) for k, v in fitted.encoder_.plain_columns(frame).items()}
    answer = {name: tensor.numpy() for name, tensor in serve(**sent).items()}
    if kind_of(fitted) == "classifier":
        assert answer["label"].astype(str).tolist() == fitted.predict(frame).tolist()
        found, wanted = answer["probabilities"], fitted.predict_proba(frame)
    else:
        found, wanted = answer["predictions"][:, 0], fitted.predict(frame)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.tensorflow_only
@FITTED
def test_the_export_answers_with_sets_or_intervals_too(fitted, frame, tmp_path):
    import tensorflow as tf

    path = fitted.export(tmp_path / "served", frame[:3], coverage=0.8)
    serve = tf.saved_model.load(path).signatures["serving_default"]
    sent = {k: tf.constant(v) for k, v in fitted.encoder_.plain_columns(frame).items()}
    answer = {name: tensor.numpy() for name, tensor in serve(**sent).items()}
    if kind_of(fitted) == "classifier":
        assert set(answer) == {"probabilities", "classes", "label", "set"}
        expected = fitted.predict_set(frame, coverage=0.8)
        np.testing.assert_array_equal(answer["set"], expected)
    else:
        assert set(answer) == {"predictions", "lower", "upper"}
        lower, upper = fitted.predict_interval(frame, coverage=0.8)
        np.testing.assert_allclose(answer["predictions"][:, 0], fitted.predict(frame))
        np.testing.assert_allclose(answer["lower"][:, 0], lower, rtol=1e-5)
        np.testing.assert_allclose(answer["upper"][:, 0], upper, rtol=1e-5)


def kind_of(estimator):
    return "classifier" if hasattr(estimator, "classes_") else "regressor"


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_an_export_without_examples_shows_no_row_of_the_table(
    classifier, frame, tmp_path
):
    path = classifier.export(tmp_path / "served")
    text = (path / "assets.extra" / "golden_request.json").read_text()
    columns = json.loads(text)["inputs"]
    assert columns["town"] == ["Ulm"] or columns["town"] == ["Bonn"]
    assert columns["age"][0] == pytest.approx(frame["age"].median(), abs=3)


@ONE_SLOW
def test_a_column_that_decides_is_important(fitted, frame, price, dear):
    y = dear if kind_of(fitted) == "classifier" else price
    found = fitted.feature_importances(frame, y, repeats=2)
    assert found.names == ("rooms", "age", "town", "sold")
    assert found.mean.shape == found.std.shape == (4,)
    assert found.names[found.mean.argmax()] == "rooms"
    assert (
        found.metric == {"classifier": "accuracy", "regressor": "r2"}[kind_of(fitted)]
    )
    assert found.score == pytest.approx(fitted.score(frame, y))


def test_a_clone_has_an_optimizer_and_callbacks_of_its_own():
    given = {
        "optimizer": keras.optimizers.SGD(0.25),
        "keras_callbacks": [keras.callbacks.TerminateOnNaN()],
    }
    copy = clone(TableRegressor(**given, hidden_units=(3, 4)))
    assert copy.optimizer is not given["optimizer"]
    assert float(copy.optimizer.get_config()["learning_rate"]) == 0.25
    assert isinstance(copy.keras_callbacks[0], keras.callbacks.TerminateOnNaN)
    assert copy.hidden_units == (3, 4)


@pytest.mark.slow
def test_the_random_numbers_of_a_user_go_on_after_a_training(classifier, frame, dear):
    import random

    again = clone(classifier).set_params(members=1, epochs=1)
    np.random.seed(5)
    random.seed(5)
    expected = np.random.RandomState(5).random(), random.Random(5).random()
    again.fit(frame[:40], dear[:40])
    assert (np.random.random(), random.random()) == expected


@pytest.mark.parametrize("method", ["predict", "feature_importances", "save", "export"])
def test_an_estimator_that_was_not_fitted_says_so(method, frame, tmp_path):
    arguments = {
        "predict": (frame,),
        "feature_importances": (frame, [1]),
        "save": (tmp_path / "a",),
        "export": (tmp_path / "a",),
    }
    if method == "export" and keras.config.backend() != "tensorflow":
        pytest.skip("export is TensorFlow's")
    with pytest.raises(NotFittedError):
        getattr(TableRegressor(), method)(*arguments[method])


def own_loss(y, outputs):
    return keras.ops.square(y - outputs)


TINY = {"members": 1, "hidden_units": (4,), "epochs": 2, "random_state": 0}
TINY |= {"validation": 0.2}


@pytest.mark.slow
def test_a_loss_of_ones_own_is_not_needed_after_training(frame, price, tmp_path):
    fitted = TableRegressor(**TINY, loss=own_loss).fit(frame, price)
    loaded = TableRegressor.load(fitted.save(tmp_path / "houses"))
    copied = pickle.loads(pickle.dumps(fitted))
    assert loaded.loss is None
    for same in (loaded, copied):
        np.testing.assert_array_equal(same.predict(frame), fitted.predict(frame))


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_a_training_without_a_finite_loss_is_no_fitted_estimator(frame, price):
    wild = TableRegressor(**TINY, optimizer=keras.optimizers.SGD(1e30))
    with (
        pytest.warns(UserWarning),
        pytest.raises(
            ValueError, match="^`learning_rate` .*no epoch with a finite loss"
        ),
    ):
        wild.fit(frame, price)
    with pytest.raises(NotFittedError):
        wild.predict(frame)


@pytest.mark.slow
def test_a_metric_may_have_a_number_for_each_class(frame):
    towns = np.resize(["a", "b", "c"], len(frame))
    metrics = ["accuracy", keras.metrics.F1Score()]
    fitted = TableClassifier(**TINY, metrics=metrics).fit(frame, towns)
    assert np.shape(fitted.history_["f1_score"]) == (2, 3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"groups": "patient"}, r"`groups` keeps rows together .*shape \(\)"),
        ({"groups": ["a", float("nan")] * 100}, "`groups` .*100 missing"),
        ({"order": [1.0, np.nan] * 100}, "`order` .*100 missing"),
    ],
)
def test_groups_and_times_have_an_entry_for_each_row(given, words, frame, price):
    with pytest.raises(ValueError, match=f"^{words}"):
        TableRegressor().fit(frame, price, **given)


@pytest.mark.parametrize("categories", [None, 7, "ab", np.array(["a"])])
def test_categories_are_checked(categories):
    table = {"a": [1, 2, 3], "b": [3, 4, 5]}
    with pytest.raises(ValueError, match="^`categories` says which columns"):
        TableRegressor(categories=categories).fit(table, [1, 2, 3])


@pytest.mark.parametrize("method", ["feature_importances", "report"])
def test_answers_in_another_order_than_their_rows_are_refused(
    classifier, frame, dear, tmp_path, method
):
    shuffled = pd.Series(dear).sample(frac=1, random_state=0)
    arguments = (tmp_path / "a.html",) if method == "report" else ()
    with pytest.raises(ValueError, match="`y` belongs to the rows of `X` by position"):
        getattr(classifier, method)(*arguments, frame, shuffled)


def test_importances_know_the_classes_and_the_names_of_scores(classifier, frame, dear):
    with pytest.raises(ValueError, match="must be a class of `classes_`.*'Dear'"):
        classifier.feature_importances(frame, np.char.capitalize(dear.astype(str)))
    for scoring in ("f1", "log_loss", "f1_macro"):
        found = classifier.feature_importances(frame, dear, 1, scoring=scoring)
        assert found.metric == scoring and found.mean.max() > 0
    truth, answers = dear == "dear", classifier.predict(frame) == "dear"
    found = classifier.feature_importances(frame, dear, 1, scoring="f1")
    assert found.score == pytest.approx(f1_score(truth, answers))
    words = "`scoring` is what a shuffled .*log_loss, .*get_scorer_names.*'brightness'"
    with pytest.raises(ValueError, match=words):
        classifier.feature_importances(frame, dear, 1, scoring="brightness")


@pytest.mark.filterwarnings("ignore:Only one class::sklearn")
def test_a_score_that_is_nan_is_refused(classifier, frame, dear):
    of_one = dear == "dear"
    with pytest.raises(ValueError, match="^`scoring` .*'roc_auc', which is NaN for"):
        classifier.feature_importances(frame[of_one], dear[of_one], scoring="roc_auc")


def test_r2_of_numbers_that_were_not_learned_is_refused(regressor, frame, price, dear):
    both = np.stack([price, price], 1)
    with pytest.raises(ValueError, match=r"^`y` .*1 numbers for each.*\(200, 2\)"):
        regressor.score(frame, both)
    with pytest.raises(ValueError, match="^`y` .*finite numbers.*'(dear|cheap)'"):
        regressor.score(frame, dear)
    one_axis = regressor.score(frame, price[:, None])
    assert one_axis == pytest.approx(regressor.score(frame, price))


def test_a_score_for_other_answers_is_refused(
    classifier, regressor, frame, dear, price
):
    words = (
        "^`scoring` .*computes for such answers. Received: scoring='{}', where it says"
    )
    with pytest.raises(ValueError, match=words.format("r2")):
        classifier.feature_importances(frame, dear, 1, scoring="r2")
    for name in ("roc_auc", "accuracy"):
        with pytest.raises(ValueError, match=words.format(name)):
            regressor.feature_importances(frame, price, 1, scoring=name)
