from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_choice, check_count, check_number, check_seed
from keras_trainkit._row_labels import check_row_order
from keras_trainkit._serialization import serializable
from keras_trainkit._tensorflow.data_map import call_in_data_map
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._adapted import (
    add_adapted_weight,
    check_adapted,
    check_num_features,
)
from keras_trainkit.layers._classes import TASKS
from keras_trainkit.layers._mutual_information import mutual_information, row_sample


@serializable
class FeatureSelection(keras.layers.Layer):
    """Keeps the features that say most about the target, by mutual information.

    `adapt` scores each feature by itself, in nats: 0 for one that is independent of the
    target, any kind of dependence counts. Features that repeat each other are all kept,
    and two that tell something only together are not noticed. Adapt to training rows.

    | feature                | score                                             |
    | ---------------------- | ------------------------------------------------- |
    | constant, or NaN alone | 0                                                 |
    | with some NaN          | score of the flag "missing", plus the score of    |
    |                        | the present values times their share              |
    | any other              | scikit-learn's estimate from 3 neighbours         |

    Kept features stay in their order and pass through as they are, with their dtype,
    NaN and mask; of equal scores the earlier is kept. Which ones are kept is a weight,
    saved and loaded with the model and not trained. A call before `adapt` and without
    loaded weights is a ValueError. A step that JAX compiles cannot raise: there outputs
    before `adapt` are NaN (0 for integers).

    Args:
        features: Int >= 1, how many to keep, or float in (0, 1), their share, rounded,
            at least one.
        discrete_features: Sequence of ints >= 0, features whose values are codes rather
            than amounts. None: none are.
        max_rows: Int >= 10. `adapt` draws that many rows at random from more, since the
            estimate takes time: 1 to 3 s for 10,000 rows of 30 features.
        seed: Int >= 0 or None. Seed of the draw, and of the noise (1e-10 of a
            deviation) by which the estimate breaks ties. None: a new one at every
            `adapt`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Attributes, weights that are not trained, after `adapt` or loading:
        scores: `(features of the input,)`. In nats.
        kept: `(features,)`. Numbers of the kept features, ascending.

    Input shape: `(batch, ..., features of the input)`, which must be known.
    Output shape: `(batch, ..., features)`.

    Example:

    ```python
    selection = keras_trainkit.layers.FeatureSelection(10)
    selection.adapt(x_train, y_train, task="classification")
    model = keras.Sequential([keras.Input((30,)), selection, keras.layers.Dense(1)])
    ```

    Source: Ross, 2014, doi:10.1371/journal.pone.0087357, and Kraskov et al., 2004,
    doi:10.1103/PhysRevE.69.066138, by scikit-learn's `mutual_info_classif` and
    `mutual_info_regression`, which refuse NaN and score constants by their noise.
    """

    def __init__(
        self,
        features: float,
        discrete_features: Sequence[int] | None = None,
        max_rows: int = 10_000,
        seed: int | None = 0,
        **kwargs: Any,
    ):
        purpose = "is the number of features kept, or their share,"
        if isinstance(features, float):
            check_number("features", features, purpose, above=0, below=1)
        else:
            check_count("features", features, purpose)
        purpose = "numbers the features that are codes"
        is_list = isinstance(discrete_features, Sequence | np.ndarray | None)
        if not is_list or isinstance(discrete_features, str | bytes):
            raise ValueError(
                f"`discrete_features` {purpose} and must be a list of integers or "
                f"None. Received: discrete_features={discrete_features!r}."
            )
        numbers = None if discrete_features is None else list(discrete_features)
        for number in numbers or ():
            check_count("discrete_features", number, purpose, at_least=0)
        check_count(
            "max_rows", max_rows, "bounds the rows that adapt uses", at_least=10
        )
        seed = check_seed("seed", seed)
        super().__init__(autocast=False, **kwargs)
        self.features = features
        self.discrete_features = None if numbers is None else list(map(int, numbers))
        self.max_rows = max_rows
        self.seed = seed
        self.supports_masking = True
        self._is_adapted = False

    def build(self, input_shape: Shape) -> None:
        width = input_shape[-1]
        self.kept = self.add_weight(
            name="kept",
            shape=(self._count(input_shape),),
            dtype="int",
            initializer=keras.initializers.Constant(-1),
            trainable=False,
        )
        self.scores = add_adapted_weight(self, "scores", (width,))
        self.input_spec = keras.layers.InputSpec(axes={-1: width})

    def adapt(self, data: Any, targets: Any = None, *, task: str) -> None:
        """Scores the features and keeps the best, afresh at every call.

        The result does not depend on how rows are cut into batches.

        Args:
            data: Array `(rows, features)`, NaN for missing values, or, without
                `targets`, an iterable of batches `(x, y)` (a `tf.data.Dataset`, ...).
            targets: `(rows,)` or `(rows, 1)`: labels, text as well, or numbers. With
                steps, `(batch, time, features)`, one for each step.
            task: `"classification"`, `"binary"` (the same) or `"regression"`.

        Raises:
            ValueError: Infinite values, missing or constant targets, labels of which
                most occur once, lengths that differ, fewer than 10 rows, another number
                of features than the layer has.
        """
        check_choice("task", task, "is what the targets are for", TASKS)
        check_row_order("targets", targets, data, "data")
        x, y = row_sample(data, targets, self.max_rows, self.seed)
        if not self.built:
            self.build((None, x.shape[1]))
        expected = self.scores.shape[0]
        check_num_features(self, "scores each feature", expected, x.shape[1])
        discrete = np.zeros(x.shape[1], bool)
        discrete[self.discrete_features or []] = True
        scores = mutual_information(x, y, task == "regression", discrete, self.seed)
        best = np.argsort(-scores, kind="stable")[: self.kept.shape[0]]
        self.kept.assign(np.sort(best))
        self.scores.assign(scores)
        self._is_adapted = True

    def __call__(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return call_in_data_map(super().__call__, self, inputs, *args, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        if not self._is_adapted:
            self._is_adapted = check_adapted(
                self,
                self.scores,
                "keeps the features that it learns from data",
                "adapt(data, targets, task=...)",
            )
        outputs = ops.take(inputs, ops.maximum(self.kept, 0), axis=-1)
        is_float = "float" in keras.backend.standardize_dtype(inputs.dtype)
        not_adapted = ops.full_like(outputs, float("nan") if is_float else 0)
        return ops.where(ops.less(self.kept, 0), not_adapted, outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self._count(input_shape))

    def compute_output_spec(self, inputs: Tensor) -> Tensor:
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "features": self.features,
            "discrete_features": self.discrete_features,
            "max_rows": self.max_rows,
            "seed": self.seed,
        }

    def _count(self, input_shape: Shape) -> int:
        """Number of features that are kept."""
        width = input_shape[-1]
        largest = max(self.discrete_features or (), default=0)
        named = 1 + largest if isinstance(self.features, float) else self.features
        if width is None or width < max(named, 1 + largest):
            raise ValueError(
                f"{self.name} keeps some of the features, so the last axis must have a "
                f"known size of at least {max(named, 1 + largest)}. Received: "
                f"input_shape={tuple(input_shape)}."
            )
        if isinstance(self.features, float):
            return max(1, round(self.features * width))
        return self.features
