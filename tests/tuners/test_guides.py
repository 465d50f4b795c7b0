"""Scripts in the manner of KerasTuner's guides, with only the import changed."""

import pytest

GETTING_STARTED = """
import keras
import numpy as np
import keras_tuner
from keras import layers

def build_model(hp):
    model = keras.Sequential()
    model.add(layers.Flatten())
    for i in range(hp.Int("num_layers", 1, 2)):
        model.add(
            layers.Dense(
                units=hp.Int(f"units_{i}", min_value=8, max_value=16, step=8),
                activation=hp.Choice("activation", ["relu", "tanh"]),
            )
        )
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(3, activation="softmax"))
    learning_rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model

build_model(keras_tuner.HyperParameters())

tuner = TUNERS.RandomSearch(
    hypermodel=build_model,
    objective="val_accuracy",
    max_trials=3,
    executions_per_trial=2,
    overwrite=True,
    directory="my_dir",
    project_name="helloworld",
)
tuner.search_space_summary()

rng = np.random.default_rng(0)
x_train, x_val = rng.random((60, 4, 2)), rng.random((30, 4, 2))
y_train, y_val = (np.eye(3)[rng.integers(3, size=n)] for n in (60, 30))
tuner.search(x_train, y_train, epochs=2, validation_data=(x_val, y_val))

models = tuner.get_best_models(num_models=2)
best_model = models[0]
best_model.summary()
tuner.results_summary()

best_hps = tuner.get_best_hyperparameters(5)
model = build_model(best_hps[0])
x_all = np.concatenate((x_train, x_val))
y_all = np.concatenate((y_train, y_val))
model.fit(x=x_all, y=y_all, epochs=1)
"""

OWN_LOOP = """
import keras
import numpy as np
import keras_tuner

class MyHyperModel(keras_tuner.HyperModel):
    def build(self, hp):
        inputs = keras.Input(shape=(10,))
        x = keras.layers.Dense(
            hp.Choice("units", [4, 8]), activation="relu"
        )(inputs)
        return keras.Model(inputs, keras.layers.Dense(1)(x))

    def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
        model.compile(
            keras.optimizers.Adam(hp.Float("rate", 1e-4, 1e-2, sampling="log")),
            loss="mse",
        )
        for callback in callbacks:
            callback.set_model(model)
        best = float("inf")
        for epoch in range(2):
            for start in range(0, len(x), hp.Int("batch_size", 32, 128, step=32)):
                model.train_on_batch(x[start:start + 32], y[start:start + 32])
            loss = float(model.evaluate(*validation_data, verbose=0))
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"my_metric": loss})
            best = min(best, loss)
        return best

tuner = TUNERS.RandomSearch(
    objective=keras_tuner.Objective("my_metric", "min"),
    max_trials=2,
    hypermodel=MyHyperModel(),
    directory="results",
    project_name="custom_training",
    overwrite=True,
)
x, y = np.random.rand(100, 10), np.random.rand(100, 1)
tuner.search(x=x, y=y, validation_data=(x[:20], y[:20]))
best_hps = tuner.get_best_hyperparameters()[0]
print(best_hps.values)
tuner.get_best_models()[0].summary()


class MyTuner(TUNERS.BayesianOptimization):
    def run_trial(self, trial, *args, **kwargs):
        hp = trial.hyperparameters
        x = hp.Float("x", min_value=-1.0, max_value=1.0)
        return x * x + 1

tuner = MyTuner(max_trials=5, overwrite=True, directory="results", project_name="quad")
tuner.search()
print(tuner.get_best_hyperparameters()[0].get("x"))
"""

TAILORED = """
import keras
import numpy as np
import keras_tuner
from keras_tuner import HyperParameters

def build_model(hp):
    model = keras.Sequential([keras.layers.Input((6,))])
    for i in range(hp.Int("layers", 1, 3)):
        model.add(keras.layers.Dense(hp.Int(f"units{i}", 4, 8, 4), activation="relu"))
    model.add(keras.layers.Dense(2, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(hp.Choice("learning_rate", [1e-2, 1e-3, 1e-4])),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model

x = np.random.rand(80, 6).astype("float32")
y = np.random.randint(0, 2, 80)

hp = HyperParameters()
hp.Fixed("learning_rate", value=1e-4)
hp.Int("layers", 1, 2)
tuner = TUNERS.Hyperband(
    build_model,
    hyperparameters=hp,
    tune_new_entries=True,
    max_epochs=3,
    factor=3,
    hyperband_iterations=1,
    optimizer=keras.optimizers.Adam(1e-3),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
    objective="val_accuracy",
    overwrite=True,
    directory="my_dir",
    project_name="tailored",
    max_retries_per_trial=1,
    max_consecutive_failed_trials=3,
)
stop_early = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5)
tuner.search(x, y, epochs=9, validation_split=0.2, callbacks=[stop_early])
tuner.results_summary()
best_hps = tuner.get_best_hyperparameters(num_trials=1)[0]
assert best_hps.get("learning_rate") == 1e-4
model = tuner.hypermodel.build(best_hps)
model.fit(x, y, epochs=1, validation_split=0.2)

tuner = TUNERS.GridSearch(
    build_model,
    hyperparameters=hp,
    tune_new_entries=False,
    objective="val_accuracy",
    overwrite=True,
    directory="my_dir",
    project_name="grid",
)
tuner.search(x, y, epochs=1, validation_split=0.2)
assert len(tuner.oracle.trials) == 2
"""

SCRIPTS = {"start": GETTING_STARTED, "loop": OWN_LOOP, "space": TAILORED}


@pytest.mark.slow
@pytest.mark.filterwarnings(  # as where a script is started
    "default", "ignore:__array__ implementation doesn't accept a copy"
)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_of_kerastuner_runs_with_the_import_changed(
    script, tmp_path, monkeypatch
):
    """In this process: one of its own would first load TensorFlow."""
    ours = "from keras_trainkit import tuners\n" + script.replace("TUNERS.", "tuners.")
    monkeypatch.chdir(tmp_path)
    exec(compile(ours, "script.py", "exec"), {"__name__": "__main__"})
    assert list(tmp_path.rglob("keras_trainkit_search.json"))
    assert not list(tmp_path.rglob("oracle.json"))
    assert not list(tmp_path.rglob("trial.json"))
