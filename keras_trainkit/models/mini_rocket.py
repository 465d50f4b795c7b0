from collections.abc import Sequence

import keras

from keras_trainkit.layers import MiniRocket, SequenceTruncation
from keras_trainkit.models._arguments import check_model_name, check_scaling
from keras_trainkit.models._heads import check_head, headed_model, prediction_shape
from keras_trainkit.models._sequence_input import check_sequence_input, sequence_input


def mini_rocket(
    input_shape: Sequence[int | None],
    outputs: int | Sequence[int],
    rocket: keras.layers.Layer,
    *,
    feature_scaling: keras.layers.Layer | None = None,
    mask_value: float | None = None,
    max_length: int = 2_000,
    keep: str = "end",
    scaling: keras.layers.Layer | None = None,
    missing: str | None = None,
    task: str | None = None,
    classes: Sequence | None = None,
    name: str = "mini_rocket",
) -> keras.Model:
    """Builds an uncompiled linear model of the shapes in a sequence.

    It tells classes of few series, in seconds, as well as deep networks do that are
    trained for minutes. Only the head is trained: by `fit`, or in closed form by ridge
    regression, as `estimators.SequenceClassifier` does.

    | step     | layers                                                             |
    | -------- | ------------------------------------------------------------------ |
    | padding, | as in `bilstm_attention`                                           |
    | values   |                                                                    |
    | shapes   | `rocket`, then `feature_scaling`, named "shapes"                   |
    | head     | one `Dense`, as in `mlp`                                           |

    Args:
        input_shape: `(time, features)`; `time` may be None, for any length.
        outputs: Int >= 1, or the shape of one prediction, as in `bilstm_attention`.
        rocket: Adapted `layers.MiniRocket`. It reads what `scaling` gives, and, with
            `missing`, the channels that say what is missing too.
        feature_scaling: Adapted `layers.StandardScaling` of the features that `rocket`
            gives; None for none.
        mask_value: As in `bilstm_attention`, and so are the next ones.
        max_length: Likewise.
        keep: Likewise.
        scaling: Likewise.
        missing: Likewise.
        task: Likewise.
        classes: Likewise.
        name: String. Name of the model.

    Returns:
        A functional `models.TaskModel`; input "sequences", output layer "outputs".

    Raises:
        ValueError: An argument out of range.

    Example:

    ```python
    scaling = layers.StandardScaling()
    scaling.adapt(x_train)
    rocket = layers.MiniRocket()
    rocket.adapt(scaling(x_train))
    feature_scaling = layers.StandardScaling()
    feature_scaling.adapt(rocket(scaling(x_train)))
    model = mini_rocket(
        x_train.shape[1:],
        3,
        rocket,
        feature_scaling=feature_scaling,
        scaling=scaling,
        task="classification",
    )
    model.compile(optimizers.AdamW(1e-4), models.loss_for(model))
    ```

    Source: Dempster, Schmidt and Webb, 2021, arXiv:2012.08791.
    """
    check_sequence_input(input_shape, None, 1, mask_value, scaling, missing)
    if not isinstance(rocket, MiniRocket):
        raise ValueError(
            "`rocket` gives the features of a sequence and must be a "
            f"`layers.MiniRocket`. Received: rocket={rocket!r}."
        )
    check_scaling(feature_scaling)
    shape = prediction_shape(outputs, task)
    check_head(task, shape[-1], None, classes)
    check_model_name(name)
    truncation = SequenceTruncation(max_length, keep, name="truncation")
    inputs, x = sequence_input(
        input_shape, None, 1, mask_value, truncation, scaling, missing=missing
    )
    x = rocket(x)
    x = x if feature_scaling is None else feature_scaling(x)
    return headed_model(
        inputs,
        keras.layers.Identity(name="shapes")(x),
        shape,
        output_activation=None,
        task=task,
        members=1,
        target_scaling=None,
        classes=classes,
        name=name,
    )
