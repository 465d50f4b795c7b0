from collections.abc import Sequence

import keras

from keras_trainkit._checks import check_count
from keras_trainkit.layers import (
    MiniRocket,
    PiecewiseMean,
    SequenceTruncation,
    StandardScaling,
)
from keras_trainkit.models._arguments import check_model_name
from keras_trainkit.models._heads import check_head, headed_model, prediction_shape
from keras_trainkit.models._sequence_input import check_sequence_input, sequence_input


def mini_rocket(
    input_shape: Sequence[int | None],
    outputs: int | Sequence[int],
    rocket: keras.layers.Layer,
    *,
    segments: int = 12,
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
    | features | `rocket`, and beside it `layers.PiecewiseMean(segments)`: levels,  |
    |          | which shapes leave out; together "features"                        |
    | scale    | `layers.StandardScaling`, "feature_scaling", to be adapted to them |
    | head     | one `Dense`, as in `mlp`                                           |

    Args:
        input_shape: `(time, features)`; `time` may be None, for any length.
        outputs: Int >= 1, or the shape of one prediction, as in `bilstm_attention`.
        rocket: Adapted `layers.MiniRocket`. It reads what `scaling` gives, and, with
            `missing`, the channels that say what is missing too.
        segments: Int >= 0. Equal parts of a sequence whose means are features too.
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
    shape = x_train.shape[1:]
    model = mini_rocket(shape, 3, rocket, scaling=scaling, task="classification")
    features = keras.Model(model.input, model.get_layer("features").output)
    model.get_layer("feature_scaling").adapt(features.predict(x_train))
    model.compile(optimizers.AdamW(1e-4), models.loss_for(model))
    ```

    Source: Dempster, Schmidt and Webb, 2021, arXiv:2012.08791; the levels are ours.
    """
    check_sequence_input(input_shape, None, 1, mask_value, scaling, missing)
    if not isinstance(rocket, MiniRocket):
        raise ValueError(
            "`rocket` gives the features of a sequence and must be a "
            f"`layers.MiniRocket`. Received: rocket={rocket!r}."
        )
    purpose = "is the number of parts whose means are features too"
    check_count("segments", segments, purpose, at_least=0)
    shape = prediction_shape(outputs, task)
    check_head(task, shape[-1], None, classes)
    check_model_name(name)
    truncation = SequenceTruncation(max_length, keep, name="truncation")
    inputs, x = sequence_input(
        input_shape, None, 1, mask_value, truncation, scaling, missing=missing
    )
    features = rocket(x)
    if segments:
        means = PiecewiseMean(segments, name="piecewise_mean")(x)
        levels = keras.layers.Flatten(name="levels")(means)
        features = keras.layers.Concatenate(name="features")([features, levels])
    else:
        features = keras.layers.Identity(name="features")(features)
    return headed_model(
        inputs,
        StandardScaling(name="feature_scaling")(features),
        shape,
        output_activation=None,
        task=task,
        members=1,
        target_scaling=None,
        classes=classes,
        name=name,
    )
