"""Networks that leave out another part of the rows each, and one model of them."""

import json

import keras
import numpy as np
import pytest
from comparing import assert_equal

from keras_trainkit import callbacks, data, layers, models, optimizers
from keras_trainkit.estimators import TableClassifier, TableRegressor, _classifier
from keras_trainkit.estimators._conformal import _logits_of_folds
from keras_trainkit.estimators._training import steps_per_execution

SMALL = {"folds": 2, "members": 2, "hidden_units": (8,), "epochs": 3}
SMALL |= {"batch_size": 32, "learning_rate": 0.03, "random_state": 5}
SMALL |= {"kernel_weight": 0}  # beside them: test_kernel_part.py


@pytest.fixture(scope="module")
def regressor(frame, price):
    return TableRegressor(**SMALL).fit(frame, price)


@pytest.fixture(scope="module")
def classifier(frame, price):
    cheap_to_dear = np.digitize(price, np.quantile(price, [0.3, 0.7]))
    return TableClassifier(**SMALL).fit(frame, cheap_to_dear)


def sets_by_hand(classifier, frame, truth, coverage):
    """Row by row and class by class, as the definition says."""
    x = classifier.encoder_(frame)
    splits = data.folds(200, 2, stratify=truth, seed=5)
    rows_as_probable = np.zeros((200, 3), int)
    for number, (_, validated) in enumerate(splits, 1):
        network = classifier.model_.get_layer(f"network_{number}")
        members = network.predict(x, verbose=0).astype("float64")
        powers = np.exp(members)
        mean = (powers / powers.sum(-1, keepdims=True)).mean(axis=1)
        mean = mean ** (1 / classifier.temperature_)
        mean /= mean.sum(-1, keepdims=True)
        of_truth = mean[validated, truth[validated]]
        for row in range(200):
            for label in range(3):
                found = np.count_nonzero(of_truth <= mean[row, label] + 1e-6)
                rows_as_probable[row, label] += found
    return rows_as_probable + 1 > (1 - coverage) * 201 + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_sets_compare_a_row_with_those_that_each_network_left_out(
    classifier, frame, price, coverage
):
    truth = np.digitize(price, np.quantile(price, [0.3, 0.7]))
    expected = sets_by_hand(classifier, frame, truth, coverage)
    found = classifier.predict_set(frame, coverage)
    assert np.mean(found != expected) < 0.005  # ties in float32
    assert 0 < np.mean(found) < 1


@pytest.mark.slow
def test_a_loaded_classifier_gives_the_same_sets(classifier, frame, tmp_path):
    loaded = TableClassifier.load(classifier.save(tmp_path / "houses"))
    np.testing.assert_array_equal(
        loaded.predict_set(frame), classifier.predict_set(frame)
    )


@pytest.mark.slow
@pytest.mark.parametrize("rows", [[200], [100, 99], [50, 50, 100], [0, 200], []])
def test_a_file_with_other_folds_is_refused(classifier, tmp_path, rows):
    folder = classifier.save(tmp_path / "houses")
    fields = json.loads((folder / "estimator.json").read_text())
    fields["learned"]["validated_rows"] = rows
    (folder / "estimator.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="must hold what `save` wrote"):
        TableClassifier.load(folder)


@pytest.mark.slow
def test_each_row_is_judged_by_the_network_that_left_it_out(regressor, frame, price):
    x = regressor.encoder_(frame)
    networks = [regressor.model_.get_layer(f"network_{n}") for n in (1, 2)]
    scaling = regressor.model_.layers[-1].target_scaling
    off = np.empty(200)
    splits = data.folds(200, 2, seed=5)
    for network, (_, validated) in zip(networks, splits, strict=True):
        part = {name: array[validated] for name, array in x.items()}
        found = scaling.inverse(np.mean(network.predict(part, verbose=0), axis=1))
        found = keras.ops.convert_to_numpy(found)[:, 0]
        off[validated] = np.abs(found - price[validated])
    np.testing.assert_allclose(
        regressor.conformity_scores_[:, 0], np.sort(off), rtol=1e-3, atol=1
    )


def test_the_model_predicts_the_mean_of_the_networks(regressor, frame):
    x = regressor.encoder_(frame)
    members = [
        regressor.model_.get_layer(f"network_{n}").predict(x, verbose=0) for n in (1, 2)
    ]
    mean = np.concatenate(members, axis=1).mean(axis=1)
    scaling = regressor.model_.layers[-1].target_scaling
    expected = keras.ops.convert_to_numpy(scaling.inverse(mean))[:, 0]
    np.testing.assert_allclose(regressor.predict(frame), expected, rtol=1e-4)


def test_history_and_recipe_tell_the_folds_apart(regressor):
    assert regressor.history_["fold"] == [0, 0, 0, 1, 1, 1]
    assert len(regressor.history_["val_loss"]) == 6
    recipe = {name: choice["value"] for name, choice in regressor.recipe_.items()}
    assert recipe["folds"] == 2
    assert (recipe["training_rows"], recipe["validation_rows"]) == (100, 200)


def test_saved_it_predicts_the_same(regressor, frame, tmp_path):
    loaded = TableRegressor.load(regressor.save(tmp_path / "houses"))
    np.testing.assert_array_equal(loaded.predict(frame), regressor.predict(frame))
    assert loaded.history_ == regressor.history_


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="on JAX Keras draws an order of rows to build a model that it has not seen",
)
@pytest.mark.parametrize("members", [1, 2])
def test_the_same_lines_in_keras_give_the_same_weights(frame, dear, members):
    """Where the estimator trains all folds in one compiled program."""
    small = SMALL | {"members": members, "dropout": 0.2}
    classifier = TableClassifier(**small).fit(frame, dear)
    classes, y = np.unique(dear, return_inverse=True)
    encoder = layers.TableEncoder()
    encoder.adapt(frame)
    x, labels = encoder(frame), y[:, None].astype("float32")
    networks = []
    for number, (training, validated) in enumerate(
        data.folds(frame, 2, stratify=y, seed=5)
    ):
        keras.utils.set_random_seed(5 + number)
        embedding = layers.PiecewiseLinearEmbedding()
        embedding.adapt(x["numeric"])
        network = models.mlp(
            encoder.numeric_shape,
            1,
            (8,),
            dropout=0.2,
            numeric_embedding=embedding,
            category_sizes=encoder.category_sizes,
            members=members,
            task="binary",
            classes=classes.tolist(),
        )
        network.compile(
            optimizers.AdamW(0.03, weight_decay=0.02),
            models.loss_for(network),
            metrics=models.metrics_for(network),
            steps_per_execution=steps_per_execution(len(training), 32),
        )
        network.fit(
            {name: array[training] for name, array in x.items()},
            labels[training],
            validation_data=(
                {name: array[validated] for name, array in x.items()},
                labels[validated],
            ),
            epochs=3,
            batch_size=32,
            callbacks=[callbacks.CooldownOnPlateau(min_epoch_steps=16)],
            verbose=0,
        )
        networks.append(network)
    same = models.ensemble(networks)
    pairs = zip(same.weights, classifier.model_.weights, strict=True)
    for weight, found in pairs:
        np.testing.assert_array_equal(
            *(keras.ops.convert_to_numpy(w) for w in (weight, found)), weight.path
        )


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_exported_it_answers_as_the_estimator(classifier, frame, tmp_path):
    import tensorflow as tf

    path = classifier.export(tmp_path / "served", frame[:3], coverage=0.8)
    serve = tf.saved_model.load(path).signatures["serving_default"]
    columns = classifier.encoder_.plain_columns(frame)
    answer = serve(**{name: tf.constant(column) for name, column in columns.items()})
    found = answer["probabilities"].numpy()
    np.testing.assert_allclose(found, classifier.predict_proba(frame), atol=1e-5)
    sets = classifier.predict_set(frame, 0.8)
    assert np.mean(answer["set"].numpy() != sets) < 0.005  # ties in float32


@pytest.mark.slow
def test_weights_groups_and_a_given_optimizer_go_with_the_folds(frame, dear):
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    given = SMALL | {"learning_rate": None, "optimizer": optimizer}
    classifier = TableClassifier(**given, class_weight="balanced")
    groups = np.repeat([f"street {number}" for number in range(40)], 5)
    classifier.fit(frame, dear, sample_weight=np.arange(200.0), groups=groups)
    assert classifier.recipe_["validation_rows"]["value"] == 199  # one has no weight
    assert isinstance(classifier.model_.optimizer, keras.optimizers.SGD)
    assert not optimizer.built  # each training has one of its own
    assert np.isfinite(classifier.predict_proba(frame)).all()


@pytest.mark.slow
@pytest.mark.parametrize("is_scaled", [False, True])
def test_half_precision_scales_the_loss_of_each_fold(frame, price, is_scaled):
    keras.config.set_dtype_policy("mixed_float16")
    given, scaled = dict(SMALL), keras.optimizers.LossScaleOptimizer
    if is_scaled:
        given |= {"learning_rate": None, "optimizer": scaled(keras.optimizers.Adam())}
    try:
        found = TableRegressor(**given).fit(frame, price)
        assert isinstance(found.model_.optimizer, scaled)
        losses = np.reshape(found.history_["loss"], (2, 3))
        assert (losses[:, -1] < losses[:, 0]).all()
        assert np.isfinite(found.predict(frame)).all()
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_a_fold_without_a_finite_loss_is_named(frame, price):
    wild = SMALL | {"learning_rate": None, "optimizer": keras.optimizers.SGD(1e30)}
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="^`learning_rate`"):
        TableRegressor(**wild).fit(frame, price)


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_the_state_of_an_optimizer_goes_with_the_network(frame, price):
    """With a callback each network has a program of its own, without it they share."""
    optimizer = keras.optimizers.ScheduleFreeAdamW(0.01)
    given = SMALL | {"learning_rate": None, "optimizer": optimizer}
    watch = keras.callbacks.LambdaCallback()
    shared = TableRegressor(**given).fit(frame, price)
    apart = TableRegressor(**given, keras_callbacks=[watch]).fit(frame, price)
    np.testing.assert_array_equal(shared.predict(frame), apart.predict(frame))


@pytest.mark.slow
def test_the_model_can_be_evaluated(regressor, frame, price):
    x = regressor.encoder_(frame)
    found = regressor.model_.evaluate(x, price, verbose=0, return_dict=True)
    off = regressor.predict(frame) - price
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("verbose", [0, 2])
def test_each_network_is_announced_unless_nothing_is_to_be_said(
    frame, price, verbose, capsys
):
    TableRegressor(**SMALL | {"epochs": 1}, verbose=verbose).fit(frame, price)
    said = capsys.readouterr().out
    for number in (1, 2):
        assert (f"Network {number} of 2" in said) is (verbose == 2)


@pytest.mark.slow
def test_what_is_logged_late_stands_in_its_epoch(frame, price):
    class Late(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch:
                logs["late"] = float(epoch)

    fitted = TableRegressor(**SMALL, keras_callbacks=[Late()]).fit(frame, price)
    np.testing.assert_array_equal(fitted.history_["late"], [np.nan, 1, 2] * 2)


@pytest.mark.parametrize("given", [{"folds": 2}, {"validation": 0.5}])
def test_a_class_that_each_group_has_alone_is_refused(frame, given):
    groups = np.arange(200) // 10
    towns = np.array([f"town {group}" for group in groups])
    with pytest.raises(ValueError, match=f"^`{next(iter(given))}` chooses"):
        TableClassifier(**given).fit(frame, towns, groups=groups)


def test_folds_need_rows_of_classes_that_are_not_alone():
    y = ["a", "a", "b", "b", "c"]
    with pytest.raises(ValueError, match="^`folds` .*with 4 such rows"):
        TableClassifier(folds=5).fit(np.arange(5.0)[:, None], y)


@pytest.mark.parametrize(("of_one", "of_all"), [(0.8, 0.8), (1.3, 1.0)])
def test_the_mean_of_networks_is_made_surer_only(monkeypatch, of_one, of_all):
    monkeypatch.setattr(_classifier, "_temperature", lambda *given: (of_one, ""))
    classifier = TableClassifier()
    classifier.recipe_ = {"folds": {"value": 2, "reason": ""}}
    classifier.model_ = models.mlp((2,), 1, (), task="binary")
    outputs = np.zeros((4, 1), "float32")
    classifier._after_training(outputs, np.array([0, 1, 0, 1]), [2, 2])
    assert classifier.temperature_ == of_all
    assert classifier.recipe_["temperature"]["value"] == of_all


def test_half_precision_compares_networks_of_folds_in_all_digits():
    networks = [models.mlp((2,), 3, (4,), task="classification") for _ in range(2)]
    model, x = models.ensemble(networks), np.random.default_rng(0).normal(size=(9, 2))

    def logits():
        return keras.Model(model.input, _logits_of_folds(model, 2))(x)

    expected = logits()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        found = logits()
    finally:
        keras.config.set_dtype_policy("float32")
    for fold, same in zip(found, expected, strict=True):
        assert_equal(fold, same)
