"""Any valid arguments of a builder: one step, saved, opened again, exported."""

import pathlib
import tempfile

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from keras import ops

from keras_trainkit import layers, models

ROWS = 4
IN_CI = 40
SETTINGS = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    # Small configurations come first anyway; to look for a smaller one takes minutes.
    "phases": (Phase.explicit, Phase.generate),
    "suppress_health_check": list(HealthCheck),
}
TASKS = st.sampled_from(["classification", "binary", "regression", None])


@st.composite
def heads(draw):
    task = draw(TASKS)
    outputs = draw(st.integers(2 if task == "classification" else 1, 3))
    return {"task": task, "outputs": outputs, "members": draw(st.integers(1, 3))}


@st.composite
def tables(draw):
    """Arguments of `models.mlp`, and the inputs that they are for."""
    columns = draw(st.integers(1, 4))
    sizes = draw(st.none() | st.lists(st.integers(1, 9), max_size=3))
    arguments = {
        **draw(heads()),
        "input_shape": (columns,),
        "category_sizes": sizes,
        "hidden_units": draw(st.lists(st.integers(1, 6), max_size=2)),
        "activation": draw(st.sampled_from(["relu", "gelu", "tanh", "selu"])),
        "normalization": draw(st.sampled_from([None, "batch", "layer"])),
        "dropout": draw(st.floats(0, 0.9)),
        "l1": draw(st.floats(0, 0.1)),
        "l2": draw(st.floats(0, 0.1)),
        "residual": draw(st.booleans()),
    }
    kind = draw(st.sampled_from([None, "StandardScaling", "RobustScaling"]))
    if kind is not None:
        arguments["scaling"] = getattr(layers, kind)()
        arguments["scaling"].adapt(numbers(50, columns))
    if draw(st.booleans()):
        arguments["numeric_embedding"] = layers.PeriodicEmbedding(3)
    x = numbers(ROWS, columns)
    if sizes is not None:
        codes = [np.arange(ROWS) % size for size in sizes]
        codes = np.array(codes, "int32").reshape(len(sizes), ROWS).T
        x = {"numeric": x, "categorical": codes}
    return arguments, x


@st.composite
def sequences(draw):
    """Arguments of `models.bilstm_attention`, and the inputs that they are for."""
    time = draw(st.integers(1, 6))
    arguments = {
        **draw(heads()),
        "units": draw(st.lists(st.integers(1, 3), min_size=1, max_size=2)),
        "max_length": draw(st.integers(1, 8)),
        "keep": draw(st.sampled_from(["start", "end"])),
        "attention": draw(
            st.sampled_from(["additive", "multiplicative", "dot", "scaled_dot", None])
        ),
        "scales": draw(st.sampled_from([(1,), (1, 2), (2, 3)])),
    }
    for name in ("dropout", "recurrent_dropout", "recurrent_weight_dropout"):
        arguments[name] = draw(st.sampled_from([0.0, 0.3]))
    if arguments["attention"] is not None:
        arguments["query"] = draw(st.sampled_from(["final_state", "learned"]))
    if draw(st.booleans()):
        arguments["convolutions"] = [(draw(st.integers(2, 3)), 2)]
        arguments["pool_size"] = draw(st.integers(1, 2))
        arguments["convolution_mean"] = draw(st.booleans())
        if arguments["convolution_mean"] and draw(st.booleans()):
            arguments["units"] = ()
    if draw(st.booleans()):
        arguments |= {"input_shape": (None,), "vocabulary_size": 9}
        arguments["embedding_units"] = draw(st.integers(1, 3))
        return arguments, np.arange(ROWS * time).reshape(ROWS, time) % 9
    arguments["input_shape"] = (None, 2)
    arguments["mask_value"] = draw(st.sampled_from([None, 0.0]))
    return arguments, numbers(ROWS * time, 2).reshape(ROWS, time, 2)


def numbers(rows, columns):
    return np.random.default_rng(0).normal(3, 2, (rows, columns)).astype("float32")


def targets(task, outputs):
    if task == "classification":
        return np.arange(ROWS) % outputs
    y = numbers(ROWS, outputs)
    return (y > 3).astype("float32") if task == "binary" else y


def built(build, arguments):
    """The model after one step; its weights are finite and not those before."""
    task, outputs = arguments["task"], arguments["outputs"]
    model = build(**arguments)
    loss = "mse" if task is None else models.loss_for(model)
    # A graph for one step takes longer than the step. On JAX a step that is compiled
    # as a whole takes less than all its operations, each compiled by itself.
    eagerly = keras.config.backend() != "jax"
    model.compile("sgd", loss, run_eagerly=eagerly)
    return model, targets(task, outputs)


def tried(build, drawn, exported=False):
    arguments, x = drawn
    keras.utils.set_random_seed(0)
    model, y = built(build, arguments)
    before = [np.array(weights) for weights in model.get_weights()]
    logs = model.train_on_batch(x, y, return_dict=True)
    assert np.isfinite(list(logs.values())).all()
    after = model.get_weights()
    assert all(np.isfinite(weights).all() for weights in after)
    assert any(map(lambda a, b: not np.array_equal(a, b), before, after))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.keras")
        model.save(path)
        loaded = keras.saving.load_model(path)
        answers = [ops.convert_to_numpy(m(x, training=False)) for m in (model, loaded)]
        assert answers[0].shape == (ROWS, arguments["outputs"])
        assert np.isfinite(answers[0]).all()
        np.testing.assert_array_equal(*answers)
        if exported:
            from keras_trainkit import serving

            # It compares the SavedModel with the model on these rows, on one and none.
            assert serving.export(loaded, f"{folder}/served", x).is_dir()


BUILDERS = pytest.mark.parametrize(
    ("build", "drawn"),
    [(models.mlp, tables()), (models.bilstm_attention, sequences())],
    ids=["mlp", "bilstm_attention"],
)


@pytest.mark.slow
@BUILDERS
def test_forty_configurations_train_a_step_and_come_back(build, drawn):
    settings(max_examples=IN_CI, **SETTINGS)(
        given(drawn)(lambda drawn: tried(build, drawn))
    )()


@pytest.mark.slow
@pytest.mark.tensorflow_only
@BUILDERS
def test_three_configurations_are_exported(build, drawn):
    settings(max_examples=3, **SETTINGS)(
        given(drawn)(lambda drawn: tried(build, drawn, exported=True))
    )()


@pytest.mark.soak
@BUILDERS
def test_two_hundred_configurations(build, drawn):
    exported = keras.config.backend() == "tensorflow"

    def tried_alone(drawn):
        tried(build, drawn, exported)
        forget_what_is_compiled()

    settings(max_examples=200, **SETTINGS)(given(drawn)(tried_alone))()


def forget_what_is_compiled():
    """Linux admits 65,530 maps of memory to a process; each program of JAX has some."""
    keras.utils.clear_session()
    if keras.config.backend() == "jax":
        import jax

        jax.clear_caches()
