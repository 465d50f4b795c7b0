"""Learning curves whose ailment is known, for the tests of `analysis.diagnose`.

Half of them are real runs, each spoilt on purpose; the other half are formulas with
noise. Each label is what was done to the run, agreed with what an engineer reads off
the picture, and was fixed before any rule of `diagnose` was written. A few curves
have two labels because two readings are right. Fifteen are held back, drawn by a
seed: no rule and no threshold was chosen by looking at them.

    python benchmarks/labelled_curves.py tests/fixtures/labelled_curves.json
"""

import json
import pathlib
import sys

import keras
import numpy as np
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

HELD_BACK = 15
HELD_BACK_SEED = 15


def main(path: str) -> None:
    """Makes all curves and writes them."""
    curves = [run(**case) for case in RUNS] + formulas()
    drawn = np.random.default_rng(HELD_BACK_SEED).permutation(len(curves))
    for number, curve in enumerate(curves):
        curve["held_back"] = bool(number in drawn[:HELD_BACK])
    lines = ",\n".join(json.dumps(curve) for curve in curves)
    pathlib.Path(path).write_text(f"[\n{lines}\n]\n")


def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets, shuffled by a fixed seed; numbers have unit variance."""
    generator = np.random.default_rng(3)
    if name == "sequences":
        y = generator.integers(0, 2, 600)
        steps = np.linspace(0, 6, 20)
        phase = generator.uniform(0, 6, (600, 1))
        x = np.sin(steps * (1 + 0.5 * y[:, None]) + phase)
        return (x + generator.normal(0, 0.5, x.shape))[..., None], y
    if name == "xor":
        x = generator.normal(size=(800, 2))
        return x, (x[:, 0] * x[:, 1] > 0).astype(int)
    if name == "friedman":
        x, y = datasets.make_friedman1(1500, noise=1.0, random_state=3)
    elif name == "moons":
        x, y = datasets.make_moons(600, noise=0.25, random_state=3)
    else:
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = generator.permutation(len(x))
    x = StandardScaler().fit_transform(x[order])
    y = y[order]
    return x, (y - y.mean()) / y.std() if name in ("friedman", "diabetes") else y


def network(shape: tuple, outputs: int, case: dict) -> keras.Model:
    """The model of a case, uncompiled."""
    body = [keras.layers.Input(shape)]
    if len(shape) == 2:
        lstm = keras.layers.LSTM(case["units"][0])
        body.append(keras.layers.Bidirectional(lstm))
    else:
        for units in case["units"]:
            body.append(keras.layers.Dense(units, case.get("activation", "relu")))
            if case.get("normalized"):
                body.append(keras.layers.BatchNormalization())
            if case.get("dropout"):
                body.append(keras.layers.Dropout(case["dropout"]))
    end = keras.layers.Dense(outputs, **case.get("end", {}))
    return keras.Sequential([*body, end])


def run(name: str, data: str, labels: list[str], **case) -> dict:
    """One fit, as a record."""
    keras.utils.set_random_seed(case.get("seed", 5))
    x, y = rows_of(data)
    rows, validation = case["rows"], case["validation_rows"]
    generator = np.random.default_rng(7)
    if case.get("shuffled"):
        y = generator.permutation(y)
    if case.get("flipped"):
        flip = generator.random(len(y)) < case["flipped"]
        y = np.where(flip, generator.permutation(y), y)
    if case.get("broken"):
        x[rows // 2, 0] = np.nan
    classes = len(np.unique(y)) if y.dtype.kind == "i" else 0
    model = network(x.shape[1:], classes or 1, case)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        case["optimizer"](**case["settings"]),
        loss if classes else "mse",
        metrics=["accuracy"] if classes else [],
    )
    fitted = model.fit(
        x[:rows],
        y[:rows],
        epochs=case.get("epochs", 40),
        batch_size=case.get("batch_size", 32),
        validation_data=(x[-validation:], y[-validation:]),
        verbose=0,
    )
    return {
        "name": name,
        "kind": "run",
        "labels": labels,
        "history": {k: rounded(v) for k, v in fitted.history.items()},
        "baseline": rounded([baseline(y[:rows], classes)])[0],
        "rows": rows,
        "validation_rows": validation,
    }


def baseline(y: np.ndarray, classes: int) -> float:
    """Loss of the same prediction for every row: the mean, or the classes' shares."""
    if not classes:
        return float(np.var(y))
    shares = np.bincount(y) / len(y)
    return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())


def rounded(values) -> list[float]:
    """Five significant digits."""
    return [float(f"{float(value):.5g}") for value in values]


SGD, ADAM = keras.optimizers.SGD, keras.optimizers.Adam
DIGITS = {"data": "digits", "rows": 1200, "validation_rows": 500, "units": [64]}
CANCER = {
    "data": "breast_cancer",
    "rows": 369,
    "validation_rows": 200,
    "units": [32],
}
FRIEDMAN = {"data": "friedman", "rows": 1000, "validation_rows": 500, "units": [64]}
SEQUENCES = {"data": "sequences", "rows": 400, "validation_rows": 200, "units": [16]}


def case(base: dict, name: str, labels: str, optimizer, rate: float, **changes) -> dict:
    """A run of `base` with changes; labels are parted by a bar."""
    settings = {"learning_rate": rate, **changes.pop("settings", {})}
    made = {"name": name, "labels": labels.split("|"), "optimizer": optimizer}
    return {**base, **made, "settings": settings, **changes}


RUNS = [
    case(DIGITS, "digits, SGD 1e-5", "learning rate too low", SGD, 1e-5),
    case(FRIEDMAN, "friedman, Adam 1e-6", "learning rate too low", ADAM, 1e-6),
    case(SEQUENCES, "BiLSTM, SGD 1e-4", "learning rate too low", SGD, 1e-4),
    case(CANCER, "cancer, Adam 3e-6", "learning rate too low", ADAM, 3e-6),
    case(
        DIGITS,
        "digits, SGD 20",
        "diverged|learning rate too high",
        SGD,
        20.0,
        settings={"momentum": 0.9},
    ),
    case(DIGITS, "digits, Adam 1", "learning rate too high|diverged", ADAM, 1.0),
    case(FRIEDMAN, "friedman, SGD 1", "diverged", SGD, 1.0),
    case(CANCER, "cancer, Adam 3", "learning rate too high|diverged", ADAM, 3.0),
    case(SEQUENCES, "BiLSTM, Adam 1", "learning rate too high|diverged", ADAM, 1.0),
    case(
        FRIEDMAN,
        "friedman, one unit with strong weight decay",
        "underfitting",
        ADAM,
        0.01,
        settings={"weight_decay": 3.0},
        units=[1],
    ),
    case(DIGITS, "digits, one unit", "underfitting", ADAM, 0.02, units=[1]),
    case(
        DIGITS,
        "digits, four units with strong dropout",
        "underfitting",
        ADAM,
        0.02,
        units=[4],
        dropout=0.7,
    ),
    case(
        {"data": "xor", "rows": 500, "validation_rows": 300, "units": []},
        "a line for exclusive or",
        "no better than predicting the mean",
        ADAM,
        0.01,
    ),
    case(
        DIGITS,
        "digits, 100 rows",
        "overfitting",
        ADAM,
        3e-3,
        rows=100,
        units=[256, 256, 256],
        epochs=60,
        seed=6,
    ),
    case(
        {"data": "diabetes", "rows": 150, "validation_rows": 250, "units": [256, 256]},
        "diabetes, 150 rows",
        "overfitting",
        ADAM,
        1e-3,
    ),
    case(
        CANCER,
        "cancer, flipped labels",
        "overfitting",
        ADAM,
        2e-3,
        flipped=0.4,
        units=[128, 128],
    ),
    case(
        SEQUENCES,
        "BiLSTM, 60 rows",
        "overfitting",
        ADAM,
        0.02,
        rows=60,
        units=[32],
        batch_size=16,
    ),
    case(DIGITS, "digits, cut", "still improving", ADAM, 5e-4, epochs=6),
    case(FRIEDMAN, "friedman, cut", "still improving", ADAM, 1e-3, epochs=10),
    case(CANCER, "cancer, cut", "still improving", ADAM, 1e-3, epochs=10),
    case(
        {"data": "moons", "rows": 500, "validation_rows": 8, "units": [32]},
        "moons, 8 rows to validate",
        "validation set too small",
        ADAM,
        0.01,
    ),
    case(
        {"data": "diabetes", "rows": 400, "validation_rows": 6, "units": [16]},
        "diabetes, 6 rows to validate",
        "validation set too small",
        ADAM,
        1e-3,
    ),
    case(
        DIGITS,
        "digits, 12 rows to validate",
        "validation set too small",
        ADAM,
        1e-3,
        validation_rows=12,
    ),
    case(
        FRIEDMAN,
        "friedman, targets of other rows",
        "no better than predicting the mean",
        ADAM,
        1e-3,
        shuffled=True,
        units=[8],
    ),
    case(
        CANCER,
        "cancer, targets of other rows",
        "no better than predicting the mean",
        ADAM,
        3e-3,
        shuffled=True,
        units=[8],
        dropout=0.3,
    ),
    case(
        SEQUENCES,
        "BiLSTM, targets of other rows",
        "no better than predicting the mean",
        ADAM,
        3e-3,
        shuffled=True,
        units=[4],
    ),
    case(
        FRIEDMAN,
        "friedman, a dead unit before the end",
        "no better than predicting the mean",
        ADAM,
        1e-2,
        units=[64, 1],
        end={"activation": "relu", "bias_initializer": "zeros"},
        seed=4,
    ),
    case(
        DIGITS,
        "digits, batch normalization on four rows",
        "too noisy to tell|learning rate too high",
        ADAM,
        0.05,
        batch_size=4,
        rows=300,
        normalized=True,
        epochs=25,
    ),
    case(CANCER, "cancer, a missing value", "diverged", ADAM, 1e-3, broken=True),
    case(DIGITS, "digits, good", "good fit", ADAM, 1e-3, dropout=0.3),
    case(FRIEDMAN, "friedman, good", "good fit", ADAM, 3e-3, units=[16], epochs=60),
    case(CANCER, "cancer, good", "good fit", ADAM, 2e-3, dropout=0.5),
    case(SEQUENCES, "BiLSTM, good", "good fit", ADAM, 3e-3, units=[4], epochs=50),
]


def formulas() -> list[dict]:
    """Curves without a model, as one reads them in textbooks."""
    made = Formulas()
    t = np.arange(40.0)
    down = np.exp(-t / 6)
    a, b = 0.3 + 0.7 * down, 0.33 + 0.7 * down
    made.add(
        "both flat near the top", "underfitting", 0.8 + 0.2 * down, 0.82 + 0.2 * down, 1
    )
    made.add(
        "both flat at 0.75", "underfitting", 0.74 + 0.5 * down, 0.75 + 0.5 * down, 1
    )
    made.add("textbook U", "overfitting", 0.02 + down, 0.5 + 0.5 * down + 0.012 * t, 1)
    late = 0.3 + down + 0.02 * np.maximum(t - 25, 0)
    made.add("late rise", "overfitting", 0.2 + down - 0.004 * t, late, 1)
    made.add("wide gap, no rise", "overfitting", 0.01 + down, 0.55 + 0.5 * down, 1)
    rise = 0.4 + 0.6 * np.exp(-t / 2) + 0.6 * t / (t + 30)
    made.add("no baseline given", "overfitting", 0.05 + 0.9 * down, rise, noise=0.02)
    made.add("small gap", "good fit", 0.1 + 0.9 * down, 0.12 + 0.9 * down, 1)
    made.add("the same level", "good fit", a, b, 1, noise=0.005)
    made.add("no baseline, far down", "good fit", 0.05 + 2 * down, 0.06 + 2 * down)
    made.add("validation below training", "good fit", 0.2 + down, 0.15 + down, 1)
    nan = np.where(t > 22, np.nan, a)
    made.add("nan at the end", "diverged", nan, np.where(t > 22, np.nan, b), 1)
    made.add("inf", "diverged", np.where(t > 30, np.inf, a), b, 1)
    burst = np.where(t > 10, a + np.exp(0.5 * (t - 10)), a)
    made.add("bursts", "diverged", burst, 1.1 * burst, 1)
    slow = np.exp(-t / 30)
    made.add("half way down", "still improving", slow, 0.05 + slow, 1)
    made.add(
        "power law",
        "still improving|good fit",
        2 / (1 + t) ** 0.7,
        0.01 + 2 / (1 + t) ** 0.68,
        2,
    )
    made.add("training only, falling", "still improving", slow)
    made.add("levels off early", "plateau", 0.9 + 0.1 * down, 0.91 + 0.1 * down)
    made.add("a short fall", "plateau", 0.7 + 0.1 * np.exp(-t), 0.71 + 0.1 * np.exp(-t))
    made.add("validation jumps", "too noisy to tell", a, b, 1, jumps=0.4)
    made.add("validation jumps more", "too noisy to tell", 0.5 * a, b, 1, jumps=0.8)
    made.add(
        "both jump",
        "too noisy to tell|learning rate too high",
        a,
        b,
        1,
        jumps=0.3,
        both=True,
    )
    flat = np.ones(40)
    made.add(
        "flat at the baseline",
        "no better than predicting the mean",
        flat,
        flat,
        1,
        noise=0.003,
    )
    made.add(
        "learned by heart",
        "no better than predicting the mean|overfitting",
        0.1 + 0.9 * np.exp(-t / 15),
        1 + 0.02 * t,
        1,
    )
    made.add(
        "saw",
        "learning rate too high",
        1.5 + np.sin(2.1 * t),
        1.6 + np.sin(2.1 * t + 1),
        1,
    )
    stuck = 2.4 + 0.2 * np.exp(-t)
    made.add(
        "stuck above the baseline", "learning rate too high", stuck, stuck, 1, noise=0.1
    )
    line = 1 - 0.002 * t
    made.add("a straight line", "learning rate too low", 1.3 * line, 1.32 * line, 1)
    made.add("a straight line, no baseline", "learning rate too low", line, 1.01 * line)
    made.add("nine rows", "validation set too small", a, b, 1, accuracy=9, noise=0.03)
    made.add("sixteen rows", "validation set too small", a, b, accuracy=16, noise=0.03)
    made.add("training only, level", "no validation data", 0.1 + down)
    return made.records


class Formulas:
    """Records of formulas, with noise from one seed."""

    def __init__(self):
        self.records = []
        self.generator = np.random.default_rng(11)

    def add(
        self,
        name: str,
        labels: str,
        training: np.ndarray,
        validation: np.ndarray | None = None,
        baseline: float | None = None,
        *,
        noise: float = 0.002,
        jumps: float = 0.0,
        both: bool = False,
        accuracy: int = 0,
    ) -> None:
        """A record; `accuracy` is the number of rows a `val_accuracy` comes from."""
        history = {"loss": self.noisy(training, noise + jumps * both)}
        if validation is not None:
            history["val_loss"] = self.noisy(validation, noise + jumps)
        if accuracy:
            share = np.clip(1 - 0.5 * validation, 0, 1)
            right = self.generator.binomial(accuracy, share)
            history["val_accuracy"] = rounded(right / accuracy)
        self.records.append(
            {
                "name": name,
                "kind": "formula",
                "labels": labels.split("|"),
                "history": history,
                "baseline": baseline,
                "rows": None,
                "validation_rows": None,
            }
        )

    def noisy(self, values: np.ndarray, noise: float) -> list[float]:
        """Values times one plus noise; a loss stays above 0."""
        factor = 1 + noise * self.generator.normal(size=len(values))
        return rounded(values * np.maximum(factor, 0.05))


if __name__ == "__main__":
    main(sys.argv[1])
