import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_trainkit.estimators._classifier import Classifier
from keras_trainkit.estimators._estimator import Data, Plan, Recipe, Splits
from keras_trainkit.estimators._mixture import mean_with
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._sequence_estimator import (
    SequenceEstimator,
    shape_network,
)
from keras_trainkit.estimators._sequence_recipe import (
    chosen_for_shapes,
    mlp_share,
    reads_shapes,
    series_in_folds,
)
from keras_trainkit.estimators._sequences import Sequences
from keras_trainkit.estimators._shape_part import (
    all_rows,
    as_sure_as_right,
    fitted_shapes,
)
from keras_trainkit.estimators._step_network import step_network
from keras_trainkit.estimators._table_recipe import chosen as chosen_for_tables
from keras_trainkit.estimators._training import Goal, Trained, train


class SequenceClassifier(Classifier, SequenceEstimator):
    """Classifies measurements over time, of one or several channels and any length.

    A scikit-learn estimator around one of two models over standardized channels:

    | arguments given          | model                                                 |
    | ------------------------ | ----------------------------------------------------- |
    | none of a network, up to | `models.mini_rocket`: a linear model of fixed shapes  |
    | 8,000 training rows      | and of levels, fitted by ridge regression in seconds; |
    |                          | for many sequences of one length the mean of it and   |
    |                          | of an MLP of all values by their place (`mlp_weight`) |
    | any of a network, or     | `models.bilstm_attention`, trained by                 |
    | `features_per_kernel=0`  | `optimizers.AdamW` and `callbacks.CooldownOnPlateau`; |
    |                          | of one channel the mean of convolutions, without      |
    |                          | recurrent layers and attention, unless by `units`     |

    Nothing is hidden: the same parts in a script, with the values of `recipe_`, give
    the same weights, bit for bit those of a network.

    The linear model is fitted to all rows, and tells each by what it would be without
    it, or without its group. That corrects the probabilities
    (`layers.TemperatureScaling`) and sizes the sets of `predict_set`. Of a network, and
    where there is an MLP, rows kept for validation do, and choose its best epoch; with
    `folds` all rows, each of which is left out by one of several networks.

    A value that is NaN is told from measured ones (`layers.MissingIndicator`), if any
    is NaN in the rows of `fit`; infinite ones are refused.

    Args:
        preset: "default", or "fast": where a network is trained, a smaller one, for
            fewer epochs.
        units: Tuple of ints >= 1. Units per direction of each recurrent layer; () for
            none, behind convolutions. None, here and below: by the recipe, see
            `recipe_`.
        max_length: Int >= 1. Steps that are read of a longer sequence, or None.
        keep: "end" or "start" of a longer sequence is read. Or None.
        scales: Tuple of ints >= 1, as in `models.bilstm_attention`, or None.
        convolutions: Tuple of pairs of ints, as there; () for none. Or None.
        pool_size: Int >= 1, as there. Or None.
        convolution_mean: Bool, as there. Or None.
        features_per_kernel: Int >= 0, as in `layers.MiniRocket`; 0 for a network in its
            place. Or None.
        segments: Int >= 0, as in `models.mini_rocket`. Or None.
        mlp_weight: Float in [0, 1). Share of an MLP (`models.mlp`) that reads all
            values by their place, beside the linear model of shapes; 0 for none. None:
            0.5 for 1,000 to 8,000 sequences of one length and at most 200 values.
        dropout: Float in [0, 1), or None.
        recurrent_dropout: Float in [0, 1). Share of the states dropped on their way
            into the gates, or None.
        epochs: Int >= 1, the most. Or None.
        batch_size: Int >= 1. Rows per step, or None.
        learning_rate: Float > 0. The rate that is held until the validation loss gets
            no better, and then falls. None: by the recipe, or the `optimizer`'s own.
        weight_decay: Float >= 0. Of the recipe's optimizer, or None.
        label_smoothing: Float in [0, 1). Share of a label given to all classes alike,
            or None.
        class_weight: None, "balanced", so that every class counts as much as the
            others, or a dict of classes to weights of at least 0, 1 for those that it
            leaves out. Counts in training and in the choice of the best epoch.
        validation: Float in (0, 1), share of the rows, int >= 1, number of rows, or
            row numbers, kept from training. The rows are drawn class by class, see also
            `fit`. None: no row, of a network or an MLP 0.2, or folds.
        folds: Int >= 2. Networks that leave out another part of the rows each, so that
            all rows are trained on; `model_` is their `models.ensemble`. None: five
            for 20 to 100 rows of one channel without recurrent layers, one network
            otherwise, and where `validation` or `order` is given.
        optimizer: Optimizer of Keras or its name, in place of the recipe's.
        loss: Loss of Keras or its name, in place of the recipe's. Labels are 0 and 1
            for two classes, one-hot for more; the model gives logits.
        metrics: List of metrics of Keras, in place of accuracy; the first chooses the
            best epoch and has to know which way it gets better (no function).
        keras_callbacks: List of callbacks of Keras, beside those of the recipe. With
            folds each sees one `fit` after the other.
        random_state: Int >= 0, for a training that can be repeated; a NumPy
            `RandomState`; or None.
        verbose: As in Keras' `fit`.

    Attributes, after `fit` or `load`:
        classes_: `(classes,)`. The classes, sorted, of the type of `y`.
        n_features_in_: Int. Channels of the sequences.
        feature_names_in_: `(channels,)` of texts, where sequences are DataFrames.
        model_: `keras.Model` from padded sequences `(rows, time, channels)` to
            logits; `recipe_["mask_value"]` in every channel is padding.
        calibrated_model_: The same with corrected probabilities, which predicts.
        temperature_: Float, by which logits are divided; at most 1 with folds. Near
            1 where the validation rows are few.
        history_: Dict of name to one value per epoch; empty where none is trained. With
            folds one training after the other, its number as "fold".
        recipe_: Dict of name to `{"value": ..., "reason": ...}`: what was chosen.
        conformity_scores_: `(validation rows,)`. 1 less the probability of the truth,
            from small to large; with folds one fold after the other.

    Example:

    ```python
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(5 + n % 4, 2)) + n % 2 for n in range(60)]
    y = ["low", "high"] * 30
    classifier = SequenceClassifier(
        units=(8,), epochs=3, validation=0.2, random_state=0
    )
    classifier.fit(sequences, y)
    classifier.predict(sequences[:2])  # (2,) of "low" and "high"
    classifier.predict_proba(sequences[:2])  # (2, 2), columns as in classes_
    classifier.save("levels")
    same = SequenceClassifier.load("levels")
    ```

    Source: the recipe is that of docs/figures/sequences.md; the network after Zhou et
    al., 2016, P16-2034; of one channel after Wang et al., 2016, arXiv:1611.06455. The
    linear model is that of Dempster et al., 2021, arXiv:2012.08791, with levels.
    """

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
        features_per_kernel: int | None = None,
        segments: int | None = None,
        mlp_weight: float | None = None,
        dropout: float | None = None,
        recurrent_dropout: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        label_smoothing: float | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
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
        self.features_per_kernel = features_per_kernel
        self.segments = segments
        self.mlp_weight = mlp_weight
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.validation = validation
        self.folds = folds
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = metrics
        self.keras_callbacks = keras_callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _leaves_out_each(self, source: Sequences, rows: np.ndarray) -> bool:
        if self.validation is not None or not reads_shapes(len(rows), self._given()):
            return False
        return not self._mlp_share(source, rows)[0]

    def _mlp_share(self, source: Sequences, rows: np.ndarray) -> tuple[float, str]:
        lengths = source.take(rows).lengths()
        return mlp_share(lengths, source.channels, self._given())

    def _chosen(self, source: Sequences, splits: Splits, goal: Goal) -> Recipe:
        training, rows = splits[0][0], np.union1d(*splits[0])
        if not reads_shapes(len(training), self._given()):
            return self._of_network(source, splits, goal)
        longest = int(source.take(training).lengths().max())
        share = self._mlp_share(source, rows)
        recipe = chosen_for_shapes(longest, share, self._given())
        if not share[0]:
            return recipe
        steps = min(longest, recipe["max_length"]["value"])
        columns = steps * source.channels
        of_mlp = chosen_for_tables(len(training), columns, goal.task, self.preset, {})
        read = choice(steps, "all that are read of the longest training row")
        return {**of_mlp, "mlp_steps": read, **recipe}

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
        if "features_per_kernel" not in plan.recipe:
            build = functools.partial(plan.network, seen)
            return train(plan.recipe, build, parts, goal, seed, folder), plan.recipe
        values = {name: entry["value"] for name, entry in plan.recipe.items()}
        missing, (part,) = plan.notes["missing"]["value"], parts
        if not values["mlp_weight"]:
            model, features = shape_network(goal, missing, seen, values, seed)
            trained, choices = fitted_shapes(model, features, part, data, goal)
            return trained, plan.recipe | choices
        every, is_free = part, self.validation is None and data.order is None
        if is_free and reads_shapes(len(data.rows), self._given()):
            every = all_rows(part, data)  # each of which can be left out
        model, features = shape_network(goal, missing, every.training, values, seed)
        shapes, choices = fitted_shapes(model, features, every, data, goal)
        outputs = as_sure_as_right(shapes, part.validation.y)
        build = functools.partial(step_network, goal, missing, seen)
        steps = dataclasses.replace(goal, steps_at_once=Goal.steps_at_once)
        network = train(plan.recipe, build, parts, steps, seed, folder)
        rest = 1 - values["mlp_weight"], part, steps, values
        mixed = mean_with([network], [shapes.model], outputs, *rest)
        return mixed, plan.recipe | choices

    def _rows_in_folds(self, source: Sequences) -> int:
        return series_in_folds(source.channels, self._given())
