import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from keras_trainkit._types import Model
from keras_trainkit.estimators._estimator import Data, Plan, Recipe
from keras_trainkit.estimators._linear_part import (
    fitted_lines,
    lines_alone,
    mean_of,
    nearer_to_lines,
)
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._regressor import Regressor
from keras_trainkit.estimators._sequence_estimator import (
    LATER_NUMBERS,
    SequenceEstimator,
    linear_network,
    recurrent_network,
)
from keras_trainkit.estimators._training import Goal, Trained, train


class SequenceRegressor(Regressor, SequenceEstimator):
    """Predicts numbers from measurements over time, of any channels and lengths.

    A scikit-learn estimator around `models.bilstm_attention` over standardized
    channels with scaled targets, `optimizers.AdamW` and `callbacks.CooldownOnPlateau`.
    Nothing is hidden: the same parts in a script, with the values of `recipe_`, give
    the same weights, bit for bit.

    The network corrects a linear function of the last steps, `models.autoregression`,
    fitted by ridge regression with the penalty that is best for rows left out one by
    one (scikit-learn's `RidgeCV`), or for `groups` left out. Half of what it corrects
    is taken, unless the validation rows clearly want another share.

    Rows kept for validation choose the best epoch and size the intervals of
    `predict_interval`. With `folds` all rows do: each is left out by one of several
    networks.

    A value that is NaN is told from measured ones (`layers.MissingIndicator`), if any
    is NaN in the rows of `fit`; infinite ones are refused.

    Args:
        preset: "default", or "fast": one smaller network, for fewer epochs.
        units: Tuple of ints >= 1. Units per direction of each recurrent layer. None,
            here and below: by the recipe, see `recipe_`.
        max_length: Int >= 1. Steps that are read of a longer sequence, or None.
        keep: "end" or "start" of a longer sequence is read. Or None.
        scales: Tuple of ints >= 1, as in `models.bilstm_attention`, or None.
        convolutions: Tuple of pairs of ints, as there; () for none. Or None.
        pool_size: Int >= 1, as there. Or None.
        convolution_mean: Bool, as there. Or None.
        dropout: Float in [0, 1), or None.
        recurrent_dropout: Float in [0, 1). Share of the states dropped on their way
            into the gates, or None.
        linear_steps: Int >= 0. The last steps that the linear function reads, 0 for
            none. None: by the recipe, none with a `loss` or where it tells nothing.
        linear_weight: Float in [0, 1]. Share of the linear function alone in the mean
            of it and of what the network makes of it; of 1 no network is trained.
            None: by the recipe.
        epochs: Int >= 1, the most. Or None.
        batch_size: Int >= 1. Rows per step, or None.
        learning_rate: Float > 0. The rate that is held until the validation loss gets
            no better, and then falls. None: by the recipe, or the `optimizer`'s own.
        weight_decay: Float >= 0. Of the recipe's optimizer, or None.
        validation: Float in (0, 1), share of the rows, int >= 1, number of rows, or
            row numbers, kept from training. The rows are drawn at random, see also
            `fit`. None: 0.2, or folds.
        folds: Int >= 2. Networks that leave out another part of the rows each, so that
            all rows are trained on; `model_` is their `models.ensemble`. None: one
            network.
        optimizer: Optimizer of Keras or its name, in place of the recipe's.
        loss: Loss of Keras or its name, in place of the mean squared error. Targets
            are standardized in it.
        metrics: List of metrics of Keras, in place of the root mean squared error; the
            first chooses the best epoch and has to know which way it gets better (no
            function). They are in the units of the targets.
        keras_callbacks: List of callbacks of Keras, beside those of the recipe. With
            folds each sees one `fit` after the other.
        random_state: Int >= 0, for a training that can be repeated; a NumPy
            `RandomState`; or None.
        verbose: As in Keras' `fit`.

    Attributes, after `fit` or `load`:
        n_features_in_: Int. Channels of the sequences.
        feature_names_in_: `(channels,)` of texts, where sequences are DataFrames.
        model_: `keras.Model` from padded sequences `(rows, time, channels)` to
            predictions; `recipe_["mask_value"]` in every channel is padding.
        history_: Dict of name to one value per epoch. With folds one training after
            the other, its number as "fold".
        recipe_: Dict of name to `{"value": ..., "reason": ...}`: what was chosen.
        conformity_scores_: `(validation rows, outputs)`. How far predictions were off,
            for each output from small to large.

    Example:

    ```python
    rng = np.random.default_rng(0)
    slopes = rng.normal(size=60)
    sequences = [slope * np.arange(5 + n % 4) for n, slope in enumerate(slopes)]
    regressor = SequenceRegressor(units=(8,), epochs=3, validation=12, random_state=0)
    regressor.fit(sequences, slopes)
    regressor.predict(sequences[:2])  # (2,)
    lower, upper = regressor.predict_interval(sequences[:2], coverage=0.8)
    ```

    Source: the recipe is that of docs/figures/sequences.md; the network after Zhou et
    al., 2016, P16-2034; the linear function under it after Lai et al., 2018,
    arXiv:1703.07015, fitted first here; the mean of two forecasts Bates and Granger,
    1969, doi:10.1057/jors.1969.103.
    """

    _later_numbers: ClassVar[dict[str, Any]] = {
        **LATER_NUMBERS,
        "linear_steps": 0,
        "linear_weight": 0.0,
    }

    def __init__(
        self,
        *,
        preset: str = "default",
        units: Sequence[int] | None = None,
        max_length: int | None = None,
        keep: str | None = None,
        scales: Sequence[int] | None = None,
        convolutions: Sequence[tuple[int, int]] | None = None,
        pool_size: int | None = None,
        convolution_mean: bool | None = None,
        dropout: float | None = None,
        recurrent_dropout: float | None = None,
        linear_steps: int | None = None,
        linear_weight: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        validation: float | Sequence[int] | None = None,
        folds: int | None = None,
        optimizer: str | keras.optimizers.Optimizer | None = None,
        loss: str | keras.losses.Loss | None = None,
        metrics: Sequence | None = None,
        keras_callbacks: Sequence[keras.callbacks.Callback] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | str = 0,
    ):
        self.preset = preset
        self.units = units
        self.max_length = max_length
        self.keep = keep
        self.scales = scales
        self.convolutions = convolutions
        self.pool_size = pool_size
        self.convolution_mean = convolution_mean
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.linear_steps = linear_steps
        self.linear_weight = linear_weight
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation = validation
        self.folds = folds
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = metrics
        self.keras_callbacks = keras_callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _train(
        self,
        plan: Plan,
        seen: Rows,
        parts: Sequence[Part],
        goal: Goal,
        seed: int,
        data: Data,
        folder: pathlib.Path | None,
    ) -> tuple[Trained, Recipe]:
        missing = plan.notes["missing"]["value"]
        values = {name: entry["value"] for name, entry in plan.recipe.items()}
        line = functools.partial(linear_network, goal, missing, seen, values)
        lines, recipe = self._lines(line, parts, plan.recipe)
        mean, given = mean_of(lines, line) if lines else None, self.linear_weight
        if mean is not None and given == 1:
            alone = lines_alone(lines, mean, parts, goal, values)
            return alone, recipe | {"linear_weight": choice(1.0, "given")}
        left = iter(lines)

        def build(values: dict[str, Any]) -> Model:
            """The network of the next part."""
            return recurrent_network(goal, missing, seen, values, next(left, None))

        trained = train(recipe, build, parts, goal, seed, folder)
        if mean is None:
            none = choice(0.0, "there is no linear function")
            return trained, recipe | {"linear_weight": none}
        trained, share = nearer_to_lines(
            trained, lines, mean, parts, goal, values, given
        )
        return trained, recipe | {"linear_weight": share}

    def _lines(
        self, build: Callable[[], Model], parts: Sequence[Part], recipe: Recipe
    ) -> tuple[list[Model], Recipe]:
        """The linear function of each part, or none, and what the recipe says of it."""
        if not recipe["linear_steps"]["value"]:
            return [], recipe
        lines, tells_something = fitted_lines(build, parts)
        if tells_something or self.linear_weight is not None:
            return lines, recipe
        none = choice(0, "of rows left out no linear function tells anything")
        return [], recipe | {"linear_steps": none}
