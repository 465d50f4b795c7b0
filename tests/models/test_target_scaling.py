"""`target_scaling`: losses on standardized targets, all else in the user's units."""

import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops
from member_losses import absolute, members_of, rows_of_members, squared
from member_tables import adapted

from keras_trainkit.layers import MinMaxScaling, RobustScaling, StandardScaling
from keras_trainkit.models import MemberModel, mlp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype("float32")
Y = RNG.normal((500, -3), (70, 0.2), size=(12, 2)).astype("float32")
MEAN, STD = Y.astype("float64").mean(0), Y.astype("float64").std(0)
one_or_more = pytest.mark.parametrize("members", [1, 4])


def build(members=4, y=Y, **arguments):
    scaling = adapted(StandardScaling(), y.reshape(len(y), -1))
    outputs = scaling.spread.shape[0]
    arguments = {"target_scaling": scaling, "dropout": 0.0, **arguments}
    return mlp((3,), outputs, (5,), members=members, **arguments)


def standing(model):
    """A step changes nothing."""
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"])
    return model


@pytest.mark.usefixtures("eagerly")
@one_or_more
def test_losses_are_of_standardized_targets_and_metrics_in_their_units(members):
    model = standing(build(members))
    said = members_of(model, X)
    prediction = said.mean(1) * STD + MEAN
    assert said.shape == (12, members, 2)
    assert_close(model.predict(X, verbose=0), prediction, rtol=1e-5)
    target = (Y - MEAN) / STD
    of_members = rows_of_members(squared, target, said).mean()
    mae = absolute(Y, prediction).mean()
    trained = model.train_on_batch(X, Y, return_dict=True)
    model.reset_metrics()
    tested = model.test_on_batch(X, Y, return_dict=True)
    for logs, loss in (
        (trained, of_members),
        (tested, squared(target, said.mean(1)).mean()),
    ):
        expected = {"loss": loss, "member_loss": of_members, "mae": mae}
        assert logs == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("eagerly")
@one_or_more
@pytest.mark.parametrize("shape", [(12,), (12, 1)])
def test_one_target_may_come_as_a_vector_or_a_column(members, shape):
    y = Y[:, 0].reshape(shape)
    model = standing(build(members, y))
    target = (Y[:, :1] - MEAN[0]) / STD[0]
    expected = rows_of_members(squared, target, members_of(model, X)).mean()
    assert model.train_on_batch(X, y)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_targets_in_other_units_train_the_same_weights():
    models = []
    for factor in (1.0, 1e4):
        keras.utils.set_random_seed(3)
        model = build(y=factor * Y)
        model.compile(keras.optimizers.Adam(0.01), "mse")
        start = ops.convert_to_numpy(model.trainable_weights[0])
        model.fit(X, factor * Y, epochs=5, batch_size=4, verbose=0)
        models.append(model)
    for one, other in zip(*(m.trainable_weights for m in models), strict=True):
        assert_close(other, ops.convert_to_numpy(one), atol=1e-5)
    moved = ops.convert_to_numpy(models[0].trainable_weights[0]) - start
    assert np.abs(moved).max() > 0.01
    one, other = (model.predict(X, verbose=0) for model in models)
    assert_close(other / 1e4, one, rtol=1e-4)


@pytest.mark.usefixtures("eagerly")
@one_or_more
def test_a_file_keeps_the_units(members, tmp_path):
    model = standing(build(members))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is MemberModel
    expected = members_of(model, X).mean(1) * STD + MEAN
    assert_close(loaded(X, training=False), expected, rtol=1e-5)
    came = loaded.test_on_batch(X, Y, return_dict=True)
    assert came == pytest.approx(model.test_on_batch(X, Y, return_dict=True), rel=1e-5)


@pytest.mark.tensorflow_only
@one_or_more
def test_a_saved_model_answers_in_the_units_of_the_targets(members, tmp_path):
    tf = pytest.importorskip("tensorflow")
    model = build(members)
    model.export(tmp_path, verbose=False)
    served = tf.saved_model.load(tmp_path)
    assert_close(
        served.serve(tf.constant(X)),
        members_of(model, X).mean(1) * STD + MEAN,
        rtol=1e-5,
    )


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    ("given", "shape"),
    [(Y, (12,)), (Y, (12, 1)), (Y, (12, 3)), (Y[:, 0], (12, 2)), (Y, (12, 2, 1))],
)
def test_refuses_targets_of_another_shape(given, shape):
    model = standing(build(y=given))
    count = model.output_shape[-1]
    words = rf"`y` is scaled .* the shape \(batch, {count}\).*of the shape \(12"
    with pytest.raises(ValueError, match=words):
        model.train_on_batch(X, np.ones(shape, "float32"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"task": "binary"}, "must be None where they are labels.*task='binary'"),
        ({"task": "classification"}, "must be None where they are labels"),
        ({"target_scaling": "standard"}, "layer with `inverse`, or None.*'standard'"),
        ({"target_scaling": keras.layers.Normalization()}, "layer with `inverse`"),
        ({"target_scaling": RobustScaling(clip=2)}, r"clip=None.*\(clip=2\)"),
        ({"target_scaling": MinMaxScaling()}, "outside='clip'"),
        ({"target_scaling": StandardScaling(dtype="bfloat16")}, "half precision"),
        ({"target_scaling": adapted(StandardScaling(), X)}, "one per output, 2.*of 3"),
    ],
)
def test_refuses_scalings_that_do_not_fit(arguments, words):
    with pytest.raises(ValueError, match=words):
        build(**arguments)


def test_what_has_not_been_adapted_is_refused_at_the_first_call():
    with pytest.raises(ValueError, match=r"call `adapt\(data\)`"):
        build(target_scaling=StandardScaling())(X)
