"""What commit 099c28f wrote, in the hands of this release; see its make.py."""

import json
import pathlib
import shutil

import earlier_searches
import keras
import numpy as np
import pytest
from optuna.trial import TrialState

from keras_trainkit import models, optimizers, schedules
from keras_trainkit.layers import TableEncoder

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "commit_099c28f"
SEARCHES = json.loads((FOLDER / "expected.json").read_text())
ON_TENSORFLOW = keras.config.backend() == "tensorflow"


@pytest.fixture(scope="module")
def arrays():
    with np.load(FOLDER / "expected.npz") as saved:
        return dict(saved)


@pytest.fixture
def opened(tmp_path):
    """A function that opens a copy of a search that was begun at that commit."""

    def opened(name):
        shutil.unpack_archive(FOLDER / f"{name}.zip", tmp_path)
        return earlier_searches.tuner(name, tmp_path)

    return opened


def scores(rows):
    """Of the trials that were not stopped."""
    return [row[3] for row in rows if row[3] is not None]


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def golden(name, version=FOLDER / "served" / "1"):
    return json.loads((version / "assets.extra" / f"golden_{name}.json").read_text())


def frame():
    """The columns that were served, as the request holds them."""
    inputs = golden("request")["inputs"]
    seen = np.array(inputs["seen"], "int64").astype("datetime64[s]")
    member = [bool(value) for value in inputs["member"]]
    return {**inputs, "member": member, "seen": seen}


@pytest.mark.parametrize("name", SEARCHES)
def test_trials_of_the_search_are_what_they_were(name, opened):
    found = json.loads(json.dumps(earlier_searches.table(opened(name))))
    assert found == SEARCHES[name]["begun"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bayesian", "hyperband"])
def test_a_killed_search_ends_as_it_would_have_ended_then(name, opened):
    made = opened(name)
    earlier_searches.search(name, made)
    ended = json.loads(json.dumps(earlier_searches.table(made)))
    begun, expected = SEARCHES[name]["begun"], SEARCHES[name]["ended"]
    done = len(begun) - 1  # the last one was running
    assert ended[:done] == begun[:done]
    assert len(ended) == len(expected)
    (lost,) = (t for t in made.study.trials if t.state == TrialState.FAIL)
    (again,) = (t for t in made.study.trials if "retry_of" in t.user_attrs)
    assert again.user_attrs["retry_of"] == lost.number
    assert again.params == lost.params
    if ON_TENSORFLOW:  # as then: other backends draw other weights
        assert [row[:3] for row in ended] == [row[:3] for row in expected]
        assert_close(scores(ended), scores(expected))
        predicted = earlier_searches.predictions(name, made)
        assert_close(predicted, SEARCHES[name]["predictions"])


def test_a_search_that_was_done_runs_no_trial_and_has_its_best_model(opened):
    made = opened("bilstm")
    earlier_searches.search("bilstm", made)
    found = json.loads(json.dumps(earlier_searches.table(made)))
    assert found == SEARCHES["bilstm"]["ended"]
    predicted = earlier_searches.predictions("bilstm", made)
    assert_close(predicted, SEARCHES["bilstm"]["predictions"])


def test_members_predict_and_go_on_training_in_the_middle_of_their_cycle(arrays):
    model = keras.saving.load_model(FOLDER / "mlp_members.keras")
    assert isinstance(model, models.MemberModel)
    x, y = earlier_searches.rows()
    model.run_eagerly = ON_TENSORFLOW  # so few batches take longer to compile
    model.jit_compile = keras.config.backend() == "jax"  # it was not, where it was made
    assert_close(model.predict(x, verbose=0), arrays["mlp_members"])
    assert isinstance(model.optimizer, optimizers.AdamW)
    assert int(model.optimizer.iterations) == 8  # two epochs of four batches
    assert float(model.optimizer.learning_rate) == pytest.approx(
        float(schedules.OneCycle(0.02, total_steps=12)(8))
    )
    targets = 100 + 30 * x[:, :1] * y[:, None]
    before = model.evaluate(x, targets, verbose=0, return_dict=True)["loss"]
    model.fit(x, targets, batch_size=16, epochs=2, verbose=0)
    assert model.evaluate(x, targets, verbose=0, return_dict=True)["loss"] < before


def test_a_bilstm_with_attention_predicts_and_has_its_optimizer(arrays):
    model = keras.saving.load_model(FOLDER / "bilstm_attention.keras")
    x, _ = earlier_searches.sequences()
    assert_close(model.predict(x, verbose=0), arrays["bilstm_attention"])
    assert isinstance(model.optimizer, optimizers.SGDW)
    assert int(model.optimizer.iterations) == 4  # two epochs of two batches
    rate, moments = model.optimizer.learning_rate, model.optimizer.variables[2:]
    assert float(rate) == pytest.approx(
        float(schedules.WarmupStableDecay(0.02, 2, decay_steps=4)(4))
    )
    assert all(np.any(keras.ops.convert_to_numpy(moment)) for moment in moments)


def test_an_encoder_gives_the_arrays_it_gave_and_its_model_the_predictions(arrays):
    encoder = keras.saving.load_model(FOLDER / "table_encoder.keras")
    assert isinstance(encoder, TableEncoder)
    found = encoder(frame())
    assert_close(found["numeric"], arrays["encoded_numeric"])
    np.testing.assert_array_equal(found["categorical"], arrays["encoded_categorical"])
    model = keras.saving.load_model(FOLDER / "table_mlp.keras")
    assert_close(model.predict(found, verbose=0), arrays["table_mlp"])


@pytest.mark.tensorflow_only
def test_the_served_model_answers_its_golden_request():
    import tensorflow as tf

    request, response = golden("request"), golden("response")
    served = tf.saved_model.load(str(FOLDER / "served" / "1"))
    serve = served.signatures[request["signature_name"]]
    types = serve.structured_input_signature[1]
    sent = {
        name: tf.constant(values, types[name].dtype)
        for name, values in request["inputs"].items()
    }
    assert_close(serve(**sent)["outputs"], response["outputs"]["outputs"])


@pytest.mark.tensorflow_only
def test_the_saved_model_is_published_as_a_further_version(tmp_path):
    from keras_trainkit import serving

    shutil.copytree(FOLDER / "served", tmp_path, dirs_exist_ok=True)
    encoder = keras.saving.load_model(FOLDER / "table_encoder.keras")
    model = keras.saving.load_model(FOLDER / "table_mlp.keras")
    path = serving.export(model, tmp_path, frame(), preprocessing=encoder)
    assert path == tmp_path / "2"
    expected = golden("response")["outputs"]["outputs"]
    assert_close(golden("response", path)["outputs"]["outputs"], expected)
