import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_trainkit import layers, models, serving
from keras_trainkit.serving import _verification, _version_folder
from keras_trainkit.serving import export as export_function

pytestmark = pytest.mark.tensorflow_only


class Stopped(BaseException):
    pass


def signature(path):
    loaded = tf.saved_model.load(str(path))
    return loaded.signatures["serving_default"], loaded


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_returns_the_path_of_the_next_version_and_says_nothing(
    priced, rows, tmp_path, capfd, caplog
):
    directory = str(tmp_path / "prices")
    assert serving.export(priced, directory, rows) == tmp_path / "prices" / "1"
    assert serving.export(priced, directory, rows).name == "2"
    assert serving.export(priced, directory, rows, version=70).name == "70"
    assert capfd.readouterr().out == ""
    assert not caplog.records
    with pytest.raises(ValueError, match="does not exist yet.*version=2"):
        serving.export(priced, directory, rows, version=2)
    assert names(tmp_path / "prices") == ["1", "2", "70"]


def test_example_of_the_docstring_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = export_function.__doc__.split("```python")[1].split("```")[0]
    lines = [line.removeprefix("    ") for line in code.splitlines()]
    found = {}
    exec("\n".join(lines), found)
    served = found["served"](features=tf.constant(found["x"]))["price"]
    np.testing.assert_allclose(served, found["model"].predict(found["x"], verbose=0))
    assert found["path"] == pathlib.Path("models/prices/1")


def test_many_inputs_and_outputs_keep_their_names_types_and_free_axes(tmp_path):
    tokens = keras.Input((None,), name="tokens", dtype="int32")
    area = keras.Input((2,), name="area", dtype="float64")
    paid = keras.Input((), name="paid", dtype="bool")
    mean = keras.ops.mean(keras.ops.cast(tokens, "float32"), axis=1, keepdims=True)
    price = keras.layers.Dense(3, name="price")(area)
    outputs = {"price": price, "mean": mean, "paid_back": keras.ops.logical_not(paid)}
    model = keras.Model([tokens, area, paid], outputs)
    examples = [np.array([[1, 2, 6]]), np.array([[0.5, 7.0]]), np.array([True])]
    served, loaded = signature(serving.export(model, tmp_path, examples))
    assert set(loaded.signatures) == {"serve", "serving_default"}
    inputs = served.structured_input_signature[1]
    assert {n: (s.shape.as_list(), s.dtype.name) for n, s in inputs.items()} == {
        "tokens": ([None, None], "int32"),
        "area": ([None, 2], "float64"),
        "paid": ([None], "bool"),
    }
    request = {"tokens": [[1, 2, 3, 6]], "area": [[0.0, 0.0]], "paid": [True]}
    tensors = {n: tf.constant(v, inputs[n].dtype) for n, v in request.items()}
    answer = served(**tensors)
    assert float(answer["mean"][0, 0]) == 3.0
    assert not answer["paid_back"].numpy()[0]
    assert answer["price"].shape == (1, 3)


def test_outputs_of_a_list_are_named_after_their_layers(tmp_path, rows):
    inputs = keras.Input((4,), name="features")
    heads = [keras.layers.Dense(n, name=f"head_of_{n}") for n in (3, 2)]
    model = keras.Model(inputs, [head(inputs) for head in heads])
    served, _ = signature(serving.export(model, tmp_path, rows))
    answer = served(features=tf.constant(rows))
    np.testing.assert_allclose(answer["head_of_3"], heads[0](rows), atol=1e-6)
    np.testing.assert_allclose(answer["head_of_2"], heads[1](rows), atol=1e-6)


def test_a_sequential_model_is_named_by_its_input_and_last_layer(tmp_path, rows):
    inputs = keras.Input((4,), name="features")
    model = keras.Sequential([inputs, keras.layers.Dense(2, name="scores")])
    served, _ = signature(serving.export(model, tmp_path, rows))
    np.testing.assert_allclose(
        served(features=tf.constant(rows))["scores"], model(rows), atol=1e-6
    )


def test_a_subclass_built_as_a_graph_is_exported(tmp_path, rows):
    class Averaged(keras.Model):
        pass

    inputs = keras.Input((4,), name="features")
    model = Averaged(inputs, keras.layers.Dense(2, name="scores")(inputs))
    served, _ = signature(serving.export(model, tmp_path, rows))
    assert set(served.structured_outputs) == {"scores"}


def test_dropout_is_off_and_batch_statistics_are_the_learned_ones(tmp_path, rows):
    inputs = keras.Input((4,), name="features")
    normed = keras.layers.BatchNormalization(epsilon=0.0, name="norm")(inputs)
    dropped = keras.layers.Dropout(0.7, name="dropped")(normed)
    model = keras.Model(inputs, dropped)
    model.get_layer("norm").set_weights(
        [np.full(4, 3.0), np.full(4, 0.5), np.full(4, 2.0), np.full(4, 16.0)]
    )
    served, _ = signature(serving.export(model, tmp_path, rows))
    answer = served(features=tf.fill((1, 4), 10.0))["dropped"]
    np.testing.assert_allclose(answer, np.full((1, 4), 3 * (10 - 2) / 4 + 0.5))


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_is_float32_outside(tmp_path, rows, half):
    inputs = keras.Input((4,), name="features", dtype=half)
    hidden = keras.layers.Dense(5, dtype=f"mixed_{half}")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="low", dtype=half)(hidden))
    served, _ = signature(serving.export(model, tmp_path, rows))
    assert served.structured_input_signature[1]["features"].dtype == tf.float32
    assert served.structured_outputs["low"].dtype == tf.float32


def test_a_model_compiled_for_xla_gives_a_plain_graph(tmp_path, priced, rows):
    priced.compile("sgd", "mse", jit_compile=True)
    priced.fit(rows, rows[:, :1], verbose=0)
    served, _ = signature(serving.export(priced, tmp_path, rows))
    np.testing.assert_allclose(
        served(features=tf.constant(rows))["price"], priced(rows), atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "inner",
    [
        lambda: keras.layers.Bidirectional(keras.layers.LSTM(4), name="both"),
        lambda: layers.VariationalLSTM(4, bidirectional=True, dropout=0.2, name="both"),
    ],
)
def test_a_model_on_a_gpu_is_drawn_without_cudnn(tmp_path, monkeypatch, inner):
    gpu = [tf.config.LogicalDevice("/device:GPU:0", "GPU")]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda *_: gpu)
    inputs, inner = keras.Input((None, 2), name="steps"), inner()
    nested = keras.Sequential([keras.Input((None, 2)), inner], name="state")
    model = keras.Model(inputs, nested(inputs))

    def operations():
        traced = tf.function(model).get_concrete_function(tf.zeros((1, 3, 2)))
        return {node.op for node in traced.graph.as_graph_def().node}

    assert "CudnnRNNV3" in operations()  # what Keras draws where it sees a GPU
    examples = np.random.default_rng(5).normal(size=(2, 3, 2))
    path = serving.export(model, tmp_path, examples)
    assert b"Cudnn" not in (path / "saved_model.pb").read_bytes()
    lstm = [getattr(inner, name, inner) for name in ("forward_layer", "backward_layer")]
    assert [layer.use_cudnn for layer in lstm] == ["auto", "auto"]  # as it was


def test_the_graph_holds_no_path_of_this_machine(tmp_path, priced, rows):
    path = serving.export(priced, tmp_path, rows)
    graph = (path / "saved_model.pb").read_bytes()
    for place in (tmp_path, pathlib.Path.home(), pathlib.Path(keras.__file__).parent):
        assert bytes(place) not in graph
    assert b".export-" not in graph


def test_a_version_is_read_by_everyone_who_may_read_a_new_folder(
    tmp_path, priced, rows
):
    (tmp_path / "usual").mkdir()
    path = serving.export(priced, tmp_path / "models", rows)
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.first_quick
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (keras.export.ExportArchive(), "write_out"),
        (export_function.__globals__, "check_servable"),
        (export_function.__globals__, "verified_response"),
        (export_function.__globals__, "write_golden_request"),
        (_version_folder.__dict__, "_sync_all"),
        (_version_folder.__dict__, "_move_in"),
    ],
)
def test_stopped_at_any_stage_nothing_is_left_and_the_next_export_works(
    owner, name, priced, rows, tmp_path, monkeypatch
):
    def stop(*_, **__):
        raise Stopped

    with monkeypatch.context() as patch:
        if isinstance(owner, dict):
            patch.setitem(owner, name, stop)
        else:
            patch.setattr(type(owner), name, stop)
        with pytest.raises(Stopped):
            serving.export(priced, tmp_path / "models", rows)
    assert names(tmp_path) == []
    assert serving.export(priced, tmp_path / "models", rows).name == "1"


def test_a_full_disk_is_an_os_error_and_leaves_nothing(priced, rows, tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (0, 30, 300, 3000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            with pytest.raises(OSError, match=r"could not write|too large"):
                serving.export(priced, tmp_path / "models", rows)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert names(tmp_path) == []


@pytest.mark.parametrize("version", [0, -3, 1.0, True, "4", 2**63])
def test_version_is_a_whole_number_from_one(priced, rows, tmp_path, version):
    with pytest.raises(ValueError, match="`version` names the folder.*must be an int"):
        serving.export(priced, tmp_path, rows, version=version)


@pytest.mark.parametrize("directory", ["", 7, None, ["models"]])
def test_directory_is_a_string_or_a_path(priced, rows, directory):
    with pytest.raises(ValueError, match="`directory` holds the versions.*Received"):
        serving.export(priced, directory, rows)


@pytest.mark.parametrize("below", ["", "models/prices"])
def test_a_file_in_the_place_of_the_directory_is_named(priced, rows, tmp_path, below):
    (tmp_path / "notes").write_text("kept")
    words = "`directory` holds the versions .*a folder.*notes' is a file"
    with pytest.raises(ValueError, match=words):
        serving.export(priced, tmp_path / "notes" / below, rows)
    assert (tmp_path / "notes").read_text() == "kept"


@pytest.mark.parametrize("name", ["c[1]", "d[a-z]e/f"])
def test_a_directory_that_tensorflow_takes_for_a_pattern_is_refused(
    priced, rows, tmp_path, name
):
    with pytest.raises(ValueError, match="`directory` .*a pattern .*Received"):
        serving.export(priced, tmp_path / name, rows)
    assert not list(tmp_path.iterdir())


def test_another_backend_is_named(priced, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow.*'jax'"):
        serving.export(priced, tmp_path, rows)


def test_compares_all_rows_one_row_and_none(priced, rows, tmp_path, monkeypatch):
    asked = []
    original = _verification._response

    def asked_with(function, signature, examples):
        asked.append(len(examples["features"]))
        return original(function, signature, examples)

    monkeypatch.setattr(_verification, "_response", asked_with)
    serving.export(priced, tmp_path, rows)
    assert set(asked) == {0, 1, 3}


def test_a_model_of_the_kit_takes_unscaled_rows(tmp_path, rows):
    unscaled = rows * [1.0, 20.0, 300.0, 4.0] + [0.0, 5e3, 0.0, -7.0]
    scaling = layers.StandardScaling()
    scaling.adapt(unscaled)
    model = models.mlp((4,), 2, (5, 3), scaling=scaling, dropout=0.3)
    served, _ = signature(serving.export(model, tmp_path, unscaled))
    np.testing.assert_allclose(
        served(features=tf.constant(unscaled, "float32"))["outputs"],
        model.predict(unscaled, verbose=0),
        atol=1e-6,
    )
