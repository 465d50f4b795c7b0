"""The base of the estimators of measurements over time."""

import functools
import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import keras
import numpy as np
from keras import ops
from sklearn.utils import Tags

from keras_trainkit._checks import check_number
from keras_trainkit._types import Layer, Model
from keras_trainkit.estimators._arguments import check_sequence_arguments
from keras_trainkit.estimators._estimator import (
    Estimator,
    Plan,
    Recipe,
    Splits,
    trained_rows,
)
from keras_trainkit.estimators._outputs import rows_at_once
from keras_trainkit.estimators._padding import PADDING
from keras_trainkit.estimators._parts import Rows
from keras_trainkit.estimators._read_length import check_read_length, tell_unread
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._sequence_recipe import (
    chosen_for_measurements,
    like_lengths,
)
from keras_trainkit.estimators._sequences import (
    PURPOSE,
    Sequences,
    check_resolution,
    read_sequences,
)
from keras_trainkit.estimators._training import Goal, targets
from keras_trainkit.layers import MiniRocket, MissingIndicator, StandardScaling
from keras_trainkit.models import autoregression, bilstm_attention, mini_rocket

# Of the recipe, which files of earlier releases lack.
LATER_NUMBERS: dict[str, Any] = {
    "min_epoch_steps": 1,
    "convolutions": (),
    "pool_size": 1,
    "convolution_mean": False,
    "num_lengths": 1,
}


MOST_AT_ONCE = 64  # rows, whose responses to all kernels are kept


class SequenceEstimator(Estimator):
    """Fits the recipe for measurements over time."""

    _few_rows = 0
    _steps_at_once = 1
    _later_numbers: ClassVar[dict[str, Any]] = LATER_NUMBERS
    n_features_in_: int

    def fit(
        self,
        X: Any,  # noqa: N803 (scikit-learn's name, here and below)
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
        order: Any = None,
        resume: str | os.PathLike | None = None,
    ) -> Self:
        """Trains on sequences, afresh at every call.

        Args:
            X: Array `(rows, time, channels)`, or `(rows, time)` of one channel; or a
                list, an array of objects or a Series, whose entries are arrays
                `(time, channels)` or `(time,)` of any lengths. NaN (None, masked) is a
                value that is missing.
            y: What is to be predicted, none of it missing: a class or a number for
                each row, `(rows,)`, or several numbers, `(rows, outputs)`.
            sample_weight: `(rows,)`, at least 0. How much a row counts in training and
                in the choice of the best epoch. Rows of weight 0 are left out.
            groups: `(rows,)`. Rows of a group are all trained on, or all validated; all
                in one fold.
            order: Times of the rows `(rows,)`, or "rows": the last are validated, and
                there are no folds.
            resume: Folder in which the training is kept, new or empty at first: after
                a kill the same call goes on from there, and ends with the same bits.
                See docs/resume.md. None: nothing is kept.

        Returns:
            The estimator itself.

        Raises:
            ValueError: For an argument, here or in the constructor, out of range;
                `resume` holds a fit of other data or arguments, or one that another
                process is at.
        """
        return self._fit(X, y, sample_weight, groups, order, resume)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def _check_arguments(self) -> None:
        check_sequence_arguments(self.get_params(deep=False))

    def _read(self, X: Any) -> Sequences:  # noqa: N803
        return read_sequences(X)

    def _plan(
        self, source: Sequences, splits: Splits, goal: Goal, folds: int | None
    ) -> Plan:
        check_resolution(source)
        trained = trained_rows(splits)
        recipe = self._chosen(source, splits, goal)
        if self.max_length is None:
            lengths = source.take(np.union1d(*splits[0])).lengths()
            tell_unread(lengths, recipe, "sequences", "steps")
        source = source.cut(recipe["max_length"]["value"], recipe["keep"]["value"])
        empty = source.take(trained).without_value()
        if empty:
            raise ValueError(
                f"{PURPOSE} and must have a value in each channel, in the steps that "
                "are read of the training rows. Received: missing values alone in "
                f"channel {empty}."
            )
        if "batch_size" in recipe:
            recipe |= like_lengths(source.take(splits[0][0]).lengths())
        used = source.take(np.union1d(*splits[0]))
        missing, time = _missing(used), int(used.lengths().max())
        return Plan(
            recipe,
            lambda rows: source.take(rows).padded(time),
            functools.partial(recurrent_network, goal, missing["value"]),
            _channels(source.channels, source.names),
            {
                "missing": missing,
                "mask_value": choice(PADDING, "in each channel of a padded step"),
            },
        )

    def _chosen(self, source: Sequences, splits: Splits, goal: Goal) -> Recipe:
        """Each number of the recipe but those of `_plan`."""
        return self._of_network(source, splits, goal)

    def _of_network(self, source: Sequences, splits: Splits, goal: Goal) -> Recipe:
        longest = int(source.take(trained_rows(splits)).lengths().max())
        return chosen_for_measurements(
            len(splits[0][0]),
            longest,
            source.channels,
            goal.task,
            self.preset,
            self._given(),
        )

    def _encoded(self, X: Any) -> np.ndarray:  # noqa: N803
        found = self._known(X)
        time = int(found.lengths().max())
        return found.padded(time, self.recipe_["mask_value"]["value"])

    def _known(self, X: Any) -> Sequences:  # noqa: N803
        """Sequences that the model can be asked about, in the steps that it reads."""
        found, owner = read_sequences(X), type(self).__name__
        if found.channels != self.n_features_in_:
            raise ValueError(
                f"{PURPOSE} and must have the channels that {owner} was trained on. "
                f"Received: X has {found.channels} features, but {owner} is expecting "
                f"{self.n_features_in_} features as input."
            )
        trained = getattr(self, "feature_names_in_", None)
        if trained is not None and found.names not in (None, trained.tolist()):
            raise ValueError(
                f"{PURPOSE} and must have the columns that {owner} was trained on, in "
                f"the same order, where it has names: {trained.tolist()}. "
                f"Received: columns {found.names}."
            )
        values = {name: self.recipe_[name]["value"] for name in ("max_length", "keep")}
        found = found.cut(values["max_length"], values["keep"])
        if self.recipe_["missing"]["value"] is None and found.has_missing():
            raise ValueError(
                f"{PURPOSE} and may miss no value, for none was missing where {owner} "
                "was trained. Received: NaN."
            )
        return found

    def _served_rows(self, examples: Any) -> np.ndarray:
        if examples is None:
            examples = np.zeros((1, 2, self.n_features_in_), "float32")
        return self._encoded(examples)

    def _preprocessing(self) -> Layer | None:
        return None

    def _input_fields(self) -> dict[str, Any]:
        names = getattr(self, "feature_names_in_", None)
        return {
            "channels": self.n_features_in_,
            "names": None if names is None else names.tolist(),
        }

    @classmethod
    def _restored_input(
        cls,
        fields: dict[str, Any],
        recipe: dict[str, Any],
        model: Model,
        *layers: Layer,
    ) -> dict[str, Any]:
        channels = fields["channels"]
        if not isinstance(model, keras.Model) or not _takes(model, channels):
            raise ValueError(f"no model of sequences of {channels} channels")
        values = {name: entry["value"] for name, entry in recipe.items()}
        check_read_length(recipe)
        check_number("mask_value", values["mask_value"], "marks padded steps")
        if values["missing"] not in (None, "indicator"):
            raise ValueError(f"missing={values['missing']!r}")
        return _channels(channels, _checked_names(fields.get("names"), channels))


def _channels(number: int, names: list[str] | None) -> dict[str, Any]:
    """Attributes of the channels, by name."""
    found: dict[str, Any] = {"n_features_in_": number}
    if names is not None:
        found["feature_names_in_"] = np.array(names, dtype=object)
    return found


def _checked_names(names: Any, channels: int) -> list[str] | None:
    """Names of the channels from a file that may be edited."""
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError("names of channels that are no texts")
    if len(names) != channels:
        raise ValueError(f"{len(names)} names of {channels} channels")
    return names


def _missing(used: Sequences) -> dict[str, Any]:
    if used.has_missing():
        return choice("indicator", "values are missing in what is read of `fit`'s rows")
    return choice(None, "no value is missing in what is read of `fit`'s rows")


def recurrent_network(
    goal: Goal,
    missing: str | None,
    seen: Rows,
    values: Mapping[str, Any],
    baseline: Model | None = None,
) -> Model:
    """The uncompiled model; both scalings learn from `seen`."""
    return bilstm_attention(
        (None, seen.x.shape[-1]),
        targets(seen.y[:1], goal).shape[1],
        values["units"],
        dropout=values["dropout"],
        recurrent_dropout=values["recurrent_dropout"],
        scales=values["scales"],
        convolutions=values["convolutions"] or None,
        pool_size=values["pool_size"],
        convolution_mean=values["convolution_mean"],
        classes=goal.classes,
        baseline=baseline,
        **_around(goal, missing, seen, values),
    )


def linear_network(
    goal: Goal, missing: str | None, seen: Rows, values: Mapping[str, Any]
) -> Model:
    """A linear model of the last steps, as `recurrent_network` around it."""
    outputs, steps = targets(seen.y[:1], goal).shape[1], values["linear_steps"]
    around = _around(goal, missing, seen, values)
    return autoregression((None, seen.x.shape[-1]), outputs, steps, **around)


def shape_network(
    goal: Goal, missing: str | None, seen: Rows, values: Mapping[str, Any], seed: int
) -> tuple[Model, np.ndarray]:
    """A linear model of shapes and levels, whose head is not fitted.

    Returns:
        The model; and its scaled features of `seen`, `(rows, features)`.
    """
    around = _around(goal, missing, seen, values)
    del around["target_scaling"]
    valid = np.any(seen.x != np.float32(PADDING), axis=2)
    x = around["scaling"](seen.x, mask=valid)
    x = ops.convert_to_numpy(x if missing is None else MissingIndicator()(x))
    rocket = MiniRocket(values["features_per_kernel"], x.shape[1], seed=seed)
    rocket.adapt(x, mask=valid)
    model = mini_rocket(
        (None, seen.x.shape[-1]),
        targets(seen.y[:1], goal).shape[1],
        rocket,
        segments=values["segments"],
        classes=goal.classes,
        **around,
    )
    blocks = [rocket]
    if values["segments"]:
        blocks.append(model.get_layer("piecewise_mean"))
    found = np.concatenate(
        [_outputs_of(block, x, valid).reshape(len(x), -1) for block in blocks], axis=1
    )
    scaling = model.get_layer("feature_scaling")
    scaling.adapt(found)
    return model, ops.convert_to_numpy(scaling(found))


def _outputs_of(layer: Layer, x: np.ndarray, valid: np.ndarray) -> np.ndarray:
    size = min(MOST_AT_ONCE, rows_at_once(x))
    starts = range(0, len(x), size)
    parts = [
        layer(x[at : at + size], mask=valid[at : at + size], training=False)
        for at in starts
    ]
    return np.concatenate([ops.convert_to_numpy(part) for part in parts])


def _around(
    goal: Goal, missing: str | None, seen: Rows, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments of both models; the scalings learn from `seen`."""
    scaling, target_scaling = StandardScaling(), None
    scaling.adapt(seen.x, mask_value=PADDING)
    if goal.task == "regression":
        target_scaling = StandardScaling(dtype="float32")
        target_scaling.adapt(seen.y)
    return {
        "mask_value": PADDING,
        "max_length": values["max_length"],
        "keep": values["keep"],
        "scaling": scaling,
        "missing": missing,
        "target_scaling": target_scaling,
        "task": goal.task,
    }


def _takes(model: Model, channels: Any) -> bool:
    """True for a model of one input `(rows, time, channels)`."""
    return getattr(model.input, "shape", None) == (None, None, channels)
