"""Keeps trainings in TensorBoard or MLflow, and sets them side by side.

    python examples/track_runs.py
    python examples/track_runs.py --tracker mlflow
    tensorboard --logdir out/track_runs
    mlflow ui --backend-store-uri sqlite:///out/track_runs/mlflow.db

Trains two networks on scikit-learn's cancer table with Keras' or MLflow's own callback.
Beside the metrics of each epoch it keeps what a run can be told by: hyperparameters,
architecture, seed, versions and a fingerprint of the data
(`analysis.run_description`), norms of the gradients (`callbacks.GradientMonitor`) and
the picture of the curves. Prints what differs and writes `runs.png` into `--out`.
TensorBoard's files need TensorFlow; `--tracker mlflow` needs `mlflow-skinny` or
`mlflow`.
"""

import quiet_start  # noqa: F401 (goes before what loads TensorFlow)

# isort: split
import argparse
import json
import pathlib

import keras
from sklearn.datasets import load_breast_cancer

from keras_trainkit import analysis, callbacks, data, layers, models, optimizers

TRIED = {
    "narrow": {"units": 8, "max_learning_rate": 0.01},
    "wide": {"units": 64, "max_learning_rate": 0.03},
}


def main(tracker="tensorboard", out="out/track_runs", seed=0, epochs=10, verbose=0):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    keep = with_tensorboard if tracker == "tensorboard" else with_mlflow
    for name, parameters in TRIED.items():
        keras.utils.set_random_seed(seed)
        model, rows, fit_arguments = network(seed, epochs, **parameters)
        about = analysis.run_description(model, rows, seed=seed, parameters=parameters)
        monitor = callbacks.GradientMonitor(every=5)
        cycle = callbacks.OneCycle(parameters["max_learning_rate"])
        fit_arguments |= {"verbose": verbose, "callbacks": [monitor, cycle]}

        def train(tracking, model=model, rows=rows, given=fit_arguments):
            given["callbacks"].append(tracking)
            return model.fit(*rows, **given)

        keep(out, name, about, monitor, train)

    found = analysis.runs(out)
    print(found.verdict)
    one, other = (run.name for run in found[-2:])
    print(found.compare(one, other))
    found.plot(out / "runs.png", [one, other])
    return found


def network(seed, epochs, units, max_learning_rate):
    """A compiled model, its training rows, and the other arguments of `fit`."""
    x, y = load_breast_cancer(return_X_y=True)
    parts = data.split(len(x), stratify=y, seed=seed)
    scaling = layers.StandardScaling()
    scaling.adapt(x[parts.train])
    model = models.mlp((x.shape[1],), 1, (units,), scaling=scaling, task="binary")
    loss, metrics = models.loss_for(model), models.metrics_for(model)
    model.compile(optimizers.AdamW(max_learning_rate), loss, metrics=metrics)
    validation = x[parts.validation], y[parts.validation]
    rows = x[parts.train], y[parts.train]
    return model, rows, {"validation_data": validation, "epochs": epochs}


def with_tensorboard(out, name, about, monitor, train):
    """Event files: Keras' callback writes the scalars, the rest goes beside them."""
    import tensorflow as tf
    from tensorboard.plugins.hparams import api as hparams

    folder = out / name
    history = train(keras.callbacks.TensorBoard(folder))
    picture = curves_of(history, folder)
    with tf.summary.create_file_writer(str(folder)).as_default(step=0):
        hparams.hparams(about["parameters"])
        tf.summary.text("run", json.dumps(about))
        tf.summary.image("curves", tf.io.decode_png(picture.read_bytes())[None])
        for layer, norms in monitor.gradient_norms.items():
            for step, norm in zip(monitor.steps, norms, strict=True):
                tf.summary.scalar(f"gradient norm/{layer}", norm, step=step)


def with_mlflow(out, name, about, monitor, train):
    """A store in an SQLite file, with the pictures and descriptions in a folder."""
    import mlflow
    from mlflow.keras import MlflowCallback

    out = out.resolve()
    mlflow.set_tracking_uri(f"sqlite:///{out / 'mlflow.db'}")
    experiment = mlflow.get_experiment_by_name("cancer")
    if experiment is None:
        mlflow.create_experiment("cancer", (out / "artifacts").as_uri())
    mlflow.set_experiment("cancer")
    with mlflow.start_run(run_name=name):
        mlflow.log_params(about["parameters"])
        mlflow.log_dict(about, "run.json")
        history = train(MlflowCallback())
        mlflow.log_artifact(curves_of(history, out))
        for at, step in enumerate(monitor.steps):
            norms = {
                f"gradient norm/{k}": v[at] for k, v in monitor.gradient_norms.items()
            }
            mlflow.log_metrics(norms, step=step)


def curves_of(history, folder):
    path = folder / "learning_curves.png"
    analysis.plot_learning_curves(history, path)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tracker",
        choices=("tensorboard", "mlflow"),
        default="tensorboard",
        help="what keeps the runs",
    )
    parser.add_argument("--out", default="out/track_runs", help="folder to write into")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--verbose", default=0, help="as in `fit`")
    main(**vars(parser.parse_args()))
