import os
from collections.abc import Sequence

import keras
import numpy as np

from keras_trainkit.estimators._regressor import Regressor
from keras_trainkit.estimators._table_estimator import TableEstimator


class TableRegressor(Regressor, TableEstimator):
    """Predicts numbers from the rows of a table as it comes: texts, dates and gaps too.

    A scikit-learn estimator around `layers.TableEncoder`, `models.mlp` with members,
    embedded numbers and scaled targets, `optimizers.AdamW` and
    `callbacks.CooldownOnPlateau`. Nothing is hidden: the same parts in a script, with
    the values of `recipe_`, give the same weights, bit for bit.

    Rows kept for validation choose the best epoch and size the intervals of
    `predict_interval`. Where rows are few, all are: in folds, each left out by one of
    several networks.

    Args:
        preset: "default", or "fast": one network of one member, half as wide.
        members: Int >= 1. Members of a network. None, here and below: by the recipe,
            see `recipe_`.
        hidden_units: Tuple of ints >= 1. Units per hidden layer, or None.
        dropout: Float in [0, 1), or None.
        numeric_embedding: Bool. A vector for each number, whose slope changes at
            quantiles of the training rows. Or None.
        epochs: Int >= 1, the most. Or None.
        batch_size: Int >= 1. Rows per step, or None.
        learning_rate: Float > 0. The rate that is held until the validation loss gets
            no better, and then falls. None: by the recipe, or the `optimizer`'s own.
        weight_decay: Float >= 0. Of the recipe's optimizer, or None.
        validation: Float in (0, 1), share of the rows, int >= 1, number of rows, or
            row numbers, kept from training. The rows are drawn at random, see also
            `fit`. None: by the recipe, 0.2 or folds.
        folds: Int >= 2. Networks of `members` each, which leave out another part of
            the rows each, so that all rows are trained on; `model_` is their
            `models.ensemble`. None: by the recipe, 5 up to 5,000 rows.
        kernel_weight: Float in [0, 1). Share of a `models.kernel_machine`, fitted by
            ridge regression to all rows, in the mean with the networks. None: with
            folds of at most 5,000 rows what the validation rows ask for, else 0.
        trials: Int >= 1. Trials of a search around the recipe, which is the first of
            them; `model_` is an ensemble of the best. None: no search, or with
            `time_limit` no end but that.
        time_limit: Float > 0. Seconds that `fit` may take with such a search, of all
            its starts together. See docs/tables.md. Or None.
        scoring: Measure of the validation rows that chooses between trials and in the
            ensemble, by name: "rmse" (None, for one output), "r2"
            (None, for several), "mae", "mse", or what scikit-learn or Keras calls
            these, such as "neg_mean_absolute_error". Rows count by their weights. Only
            in a search.
        directory: Folder of the search, new or empty, or that of a search with the
            same table and arguments, which then goes on: after a kill, or with more
            `trials` or time. Functions and objects without `get_config` count as the
            same by their name alone. None: one that is removed afterwards.
        scaling: As in `layers.TableEncoder`, like the four that follow.
        kinds: Dict of column to kind, or None.
        categories: "auto", or a list of columns.
        missing_values: "auto", a list of texts, or a dict of column to list.
        max_categories: Int >= 1. Levels per column with a code of their own.
        optimizer: Optimizer of Keras or its name, in place of the recipe's.
        loss: Loss of Keras or its name, in place of the mean squared error. Targets
            are standardized in it.
        metrics: List of metrics of Keras, in place of the root mean squared error; the
            first chooses the best epoch and has to know which way it gets better (no
            function). They are in the units of the targets.
        keras_callbacks: List of callbacks of Keras, beside those of the recipe. With
            folds each sees one `fit` after the other, and in a search those of all
            trials.
        random_state: Int >= 0, for a training that can be repeated; a NumPy
            `RandomState`; or None.
        verbose: As in Keras' `fit`. Unless 0, says what was found in the columns.

    Attributes, after `fit` or `load`:
        n_features_in_: Int. Columns of the table.
        feature_names_in_: `(columns,)` of texts, where the table has names.
        model_: `keras.Model` from encoded columns to predictions.
        encoder_: `layers.TableEncoder`.
        history_: Dict of name to one value per epoch. With folds one training after
            the other, its number as "fold"; of a search the trainings in its ensemble,
            the number of each trial as "trial", from 0, the recipe.
        recipe_: Dict of name to `{"value": ..., "reason": ...}`: what was chosen. Of a
            search "models" has the numbers and the weight of each trial in the
            ensemble; the others are those of the first of them.
        conformity_scores_: `(validation rows, outputs)`. How far predictions were off,
            for each output from small to large.

    Example:

    ```python
    frame = pd.DataFrame({"rooms": [1, 2, 3, 4] * 9, "town": ["Ulm", "Bonn"] * 18})
    price = 1e5 * frame["rooms"] + 5e4 * (frame["town"] == "Ulm")
    regressor = TableRegressor(epochs=5, validation=12, random_state=0)
    regressor.fit(frame, price)
    regressor.predict(frame[:2])  # (2,), in the units of price
    lower, upper = regressor.predict_interval(frame[:2], coverage=0.8)
    ```

    Source: the recipe is that of docs/figures/tables.md; members after Gorishniy et
    al., 2024, arXiv:2410.24210.
    """

    _scoring = "r2"

    def __init__(
        self,
        *,
        preset: str = "default",
        members: int | None = None,
        hidden_units: Sequence[int] | None = None,
        dropout: float | None = None,
        numeric_embedding: bool | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        validation: float | Sequence[int] | None = None,
        folds: int | None = None,
        kernel_weight: float | None = None,
        trials: int | None = None,
        time_limit: float | None = None,
        scoring: str | None = None,
        directory: str | os.PathLike | None = None,
        scaling: str | None = "robust",
        kinds: dict[str, str] | None = None,
        categories: str | Sequence[str] = "auto",
        missing_values: str | Sequence[str] | dict[str, Sequence[str]] = "auto",
        max_categories: int = 256,
        optimizer: str | keras.optimizers.Optimizer | None = None,
        loss: str | keras.losses.Loss | None = None,
        metrics: Sequence | None = None,
        keras_callbacks: Sequence[keras.callbacks.Callback] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | str = 0,
    ):
        self.preset = preset
        self.members = members
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.numeric_embedding = numeric_embedding
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation = validation
        self.folds = folds
        self.kernel_weight = kernel_weight
        self.trials = trials
        self.time_limit = time_limit
        self.scoring = scoring
        self.directory = directory
        self.scaling = scaling
        self.kinds = kinds
        self.categories = categories
        self.missing_values = missing_values
        self.max_categories = max_categories
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = metrics
        self.keras_callbacks = keras_callbacks
        self.random_state = random_state
        self.verbose = verbose
