from collections.abc import Sequence

import keras

from keras_trainkit._checks import check_count
from keras_trainkit.layers import LastSteps, SequenceTruncation
from keras_trainkit.models._arguments import check_model_name
from keras_trainkit.models._heads import (
    check_head,
    check_members,
    headed_model,
    prediction_shape,
)
from keras_trainkit.models._sequence_input import check_sequence_input, sequence_input


def autoregression(
    input_shape: Sequence[int | None],
    outputs: int | Sequence[int],
    steps: int,
    *,
    mask_value: float | None = None,
    max_length: int = 500,
    keep: str = "end",
    scaling: keras.layers.Layer | None = None,
    missing: str | None = None,
    target_scaling: keras.layers.Layer | None = None,
    task: str | None = None,
    classes: Sequence | None = None,
    name: str = "autoregression",
) -> keras.Model:
    """Builds an uncompiled linear function of the last steps of a sequence.

    The model that a forecast by a network has to beat, and that helps it: fitted first,
    it follows a series to a level that the training rows never reached, and a network
    corrects it (`bilstm_attention(baseline=)`).

    | step     | layers                                                             |
    | -------- | ------------------------------------------------------------------ |
    | padding, | as in `bilstm_attention`                                           |
    | values   |                                                                    |
    | past     | `layers.LastSteps(steps)`: the newest value has the same place in  |
    |          | all rows, of any length; then "past" `(batch, steps * channels)`   |
    | head     | one `Dense`, as in `mlp`                                           |

    Args:
        input_shape: `(time, features)`; `time` may be None, for any length.
        outputs: Int >= 1, or the shape of one prediction, as in `bilstm_attention`.
        steps: Int >= 1. Steps that are read, counted from the last valid one. Before
            the first step the past is 0, which is the mean of scaled values.
        mask_value: As in `bilstm_attention`, and so are the next ones.
        max_length: Likewise.
        keep: Likewise.
        scaling: Likewise.
        missing: Likewise.
        target_scaling: Likewise.
        task: Likewise.
        classes: Likewise.
        name: String. Name of the model.

    Returns:
        A functional `models.TaskModel`; input "sequences", output layer "outputs".
        With a target scaling a `models.MemberModel`, whose linear layer is "members".

    Raises:
        ValueError: An argument out of range.

    Example:

    ```python
    model = autoregression((48, 1), 24, 48, task="regression")
    model.compile("adam", "mse")
    ```

    Source: the autoregressive part of Lai et al., 2018, arXiv:1703.07015, section 3.6,
    there of each series by itself and trained with the network; linear models of all
    outputs at once Zeng et al., 2022, arXiv:2205.13504.
    """
    check_sequence_input(input_shape, None, 1, mask_value, scaling, missing)
    check_count("steps", steps, "is the number of the last steps")
    shape = prediction_shape(outputs, task)
    check_head(task, shape[-1], None, classes)
    check_members(1, target_scaling, task)
    check_model_name(name)
    truncation = SequenceTruncation(max_length, keep, name="truncation")
    inputs, x = sequence_input(
        input_shape, None, 1, mask_value, truncation, scaling, missing=missing
    )
    x = LastSteps(steps, name="last_steps")(x)
    return headed_model(
        inputs,
        keras.layers.Flatten(name="past")(x),
        shape,
        output_activation=None,
        task=task,
        members=1,
        target_scaling=target_scaling,
        classes=classes,
        name=name,
    )
