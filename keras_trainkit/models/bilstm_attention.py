from collections.abc import Callable, Sequence

import keras

from keras_trainkit._checks import check_choice, check_counts, check_number
from keras_trainkit._types import Tensor
from keras_trainkit.layers import (
    AttentionPooling,
    MultiScale,
    SequenceTruncation,
    VariationalLSTM,
)
from keras_trainkit.models._arguments import check_model_name
from keras_trainkit.models._heads import (
    check_head,
    check_members,
    member_head,
    prediction_shape,
    shaped_head,
)
from keras_trainkit.models._sequence_input import check_sequence_input, sequence_input
from keras_trainkit.models.member_model import MemberModel
from keras_trainkit.models.task_model import TaskModel

_SCORES = ("additive", "multiplicative", "dot", "scaled_dot", None)
_QUERIES = ("final_state", "learned")


def bilstm_attention(
    input_shape: Sequence[int | None],
    outputs: int | Sequence[int],
    units: Sequence[int] = (64, 64),
    *,
    vocabulary_size: int | None = None,
    embedding_units: int = 128,
    mask_value: float | None = None,
    max_length: int = 500,
    keep: str = "end",
    dropout: float = 0.2,
    recurrent_dropout: float = 0.2,
    recurrent_weight_dropout: float = 0.0,
    attention: str | None = "additive",
    query: str = "final_state",
    scales: Sequence[int] = (1,),
    scaling: keras.layers.Layer | None = None,
    missing: str | None = None,
    target_scaling: keras.layers.Layer | None = None,
    task: str | None = None,
    classes: Sequence | None = None,
    output_activation: str | Callable | None = None,
    name: str = "bilstm_attention",
) -> keras.Model:
    """Builds an uncompiled stack of bidirectional LSTMs with attention on top.

    | step      | token ids                     | float sequences                  |
    | --------- | ----------------------------- | -------------------------------- |
    | padding   | id 0                          | steps that are all `mask_value`  |
    | cut       | `layers.SequenceTruncation` to `max_length` steps                ||
    | values    | `Embedding`                   | `scaling`, `missing`             |
    | scales    | `layers.MultiScale(scales)`, unless (1,)                         ||
    | recurrent | one bidirectional `layers.VariationalLSTM` per entry of `units`  ||
    | pooling   | `layers.AttentionPooling` over the last one's steps              ||
    | head      | dropout, then one `Dense`, as in `models.mlp`                    ||

    Args:
        input_shape: `(time,)` for token ids, `(time, features)` for floats; `time`
            may be None, for any length.
        outputs: Int >= 1. Units of the head. Or the shape of one prediction, such
            as (24, 3) for 24 steps ahead of 3 series; for the task "regression" or
            None.
        units: Sequence of ints >= 1. Units per direction of each recurrent layer.
        vocabulary_size: Int >= 2, padding's id 0 included, for token ids; None for
            floats.
        embedding_units: Int >= 1. Numbers per token; not used for floats.
        mask_value: Finite float. Steps of float sequences whose features all equal
            it are masked. None: every step counts.
        max_length: Int >= 1. Longer sequences are cut to so many steps; 250 to 500
            suit an LSTM.
        keep: "start" or "end". Which end of the valid steps survives the cut.
        dropout: Float in [0, 1). Share of each recurrent layer's inputs and of the
            head's inputs that is dropped while training. Not of float sequences
            themselves: one mask for all steps would take whole measurements away.
        recurrent_dropout: Float in [0, 1). Share of the states dropped on their way
            into the gates.
        recurrent_weight_dropout: Float in [0, 1). Share of the recurrent weights
            dropped.
        attention: "additive", "multiplicative", "dot", "scaled_dot"; None predicts
            from the final state alone.
        query: "final_state" (forward's last and backward's first, which the head
            then sees too) or "learned".
        scales: Sequence of ints >= 1, each once. Widths in steps of the windows whose
            means stand beside each step; (1,) is the sequence alone.
        scaling: Adapted layer for float sequences, such as `layers.StandardScaling`.
        missing: "indicator": values of float sequences that are NaN are 0 after
            `scaling`, and further channels say which were there, each value by itself
            (`layers.MissingIndicator`). None: no value is NaN.
        target_scaling: Adapted layer with `inverse`, or None, as in `models.mlp`; for
            targets of the shape (24, 3) adapted on `(batch, 24, 3)`, by series.
        task: "classification", "binary", "regression" or None; heads and losses are
            those of `models.mlp`.
        classes: Sequence of the names of the classes, as in `models.mlp`, or None.
        output_activation: Name or function; None for linear. Not with a task whose
            head gives logits.
        name: String. Name of the model.

    Returns:
        A functional `models.TaskModel`; input "tokens" (int32) or "sequences" (Keras'
        float type), output layer "outputs". A sequence without a valid step gets the
        prediction for zeros. With a target scaling a `models.MemberModel` of one
        member. `models.attention_scores(model)` shows the weights.

    Raises:
        ValueError: for an argument out of range, or one of token ids given for floats
            or the other way round.

    Example:

    ```python
    model = bilstm_attention((None, 9), 6, (32, 32), task="classification")
    model.compile("adam", models.loss_for(model), metrics=models.metrics_for(model))
    ```

    Source: Zhou et al., 2016, P16-2034 (bidirectional LSTM with attention; there a
    learned query, "scaled" only by tanh); the dropout of Gal and Ghahramani, 2016,
    arXiv:1512.05287.
    """
    check_sequence_input(
        input_shape, vocabulary_size, embedding_units, mask_value, scaling, missing
    )
    check_counts("units", units, "gives the units per direction and layer", 1)
    shape = prediction_shape(outputs, task)
    check_head(task, shape[-1], output_activation, classes)
    check_members(1, target_scaling, task)
    check_choice("attention", attention, "compares the query with a step", _SCORES)
    check_choice("query", query, "is what the steps are compared with", _QUERIES)
    check_number(
        "dropout",
        dropout,
        "is the share of the inputs dropped while training",
        at_least=0,
        below=1,
    )
    check_model_name(name)

    inputs, x = sequence_input(
        input_shape,
        vocabulary_size,
        embedding_units,
        mask_value,
        SequenceTruncation(max_length, keep, name="truncation"),
        scaling,
        missing,
    )
    multi_scale = MultiScale(scales, name="scales")
    if tuple(scales) != (1,):
        x = multi_scale(x)
    for number, width in enumerate(units, start=1):
        are_measurements = number == 1 and vocabulary_size is None
        x, *states = VariationalLSTM(
            width,
            bidirectional=True,
            return_sequences=True,
            return_state=True,
            dropout=0.0 if are_measurements else dropout,
            recurrent_dropout=recurrent_dropout,
            recurrent_weight_dropout=recurrent_weight_dropout,
            name=f"bilstm_{number}",
        )(x)
    x = _pooled(x, states[::2], attention, query)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    if target_scaling is None:
        predictions = shaped_head(x, shape, output_activation, task, classes)
        return TaskModel(inputs, predictions, name=name)
    predictions = member_head(
        x, shape, output_activation, None, task, 1, target_scaling, classes
    )
    return MemberModel(inputs, predictions, name=name)


def _pooled(
    x: Tensor, last_outputs: list[Tensor], attention: str | None, query: str
) -> Tensor:
    """One vector per sequence: the mean that attention weighs, or the final state."""
    final_state = keras.layers.Concatenate(name="final_state")(last_outputs)
    if attention is None:
        return final_state
    pooling = AttentionPooling(attention, query, name="attention")
    sources = x if query == "learned" else [x, final_state]
    pooled, _ = pooling(sources, return_attention_scores=True)
    return pooled
