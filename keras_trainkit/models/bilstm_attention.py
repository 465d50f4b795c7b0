from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_trainkit._checks import (
    check_choice,
    check_counts,
    check_number,
)
from keras_trainkit._types import Tensor
from keras_trainkit.layers import (
    AttentionPooling,
    MaskedConv1D,
    MultiScale,
    SequenceMean,
    SequenceTruncation,
    VariationalLSTM,
)
from keras_trainkit.models._arguments import check_augmentation, check_model_name
from keras_trainkit.models._ends import baseline_members
from keras_trainkit.models._heads import (
    check_head,
    check_members,
    headed_model,
    prediction_shape,
)
from keras_trainkit.models._sequence_input import (
    check_convolutions,
    check_embedding_matrix,
    check_sequence_input,
    sequence_input,
)

_SCORES = ("additive", "multiplicative", "dot", "scaled_dot", None)
_QUERIES = ("final_state", "learned")
# Share of the statistics that a step keeps. With Keras' 0.99 they are those of the
# start for hundreds of steps, and few rows have no more: inference then fails.
_KEPT_STATISTICS = 0.9


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
    convolutions: Sequence[tuple[int, int]] | None = None,
    pool_size: int = 1,
    convolution_mean: bool = False,
    scaling: keras.layers.Layer | None = None,
    augmentation: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    missing: str | None = None,
    embedding_matrix: Any = None,
    train_embedding: bool = True,
    members: int = 1,
    target_scaling: keras.layers.Layer | None = None,
    baseline: keras.Model | None = None,
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
    | values    | `augmentation`, `Embedding`   | `scaling`, `augmentation`,       |
    |           |                               | `missing`                        |
    | scales    | `layers.MultiScale(scales)`, unless (1,)                         ||
    | convolved | `layers.MaskedConv1D`, batch normalization and relu per entry of ||
    |           | `convolutions`; then the largest of `pool_size` steps            ||
    | recurrent | one bidirectional `layers.VariationalLSTM` per entry of `units`  ||
    | pooling   | `layers.AttentionPooling` over the last one's steps; with        ||
    |           | `convolution_mean` the mean of the convolved steps beside it     ||
    | head      | dropout, then one `Dense`, as in `models.mlp`                    ||

    Args:
        input_shape: `(time,)` for token ids, `(time, features)` for floats; `time`
            may be None, for any length.
        outputs: Int >= 1. Units of the head. Or the shape of one prediction, such
            as (24, 3) for 24 steps ahead of 3 series; for the task "regression" or
            None.
        units: Sequence of ints >= 1. Units per direction of each recurrent layer. ()
            for none with `convolution_mean`: the head then sees that mean alone, as in
            a fully convolutional network.
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
        convolutions: Sequence of pairs `(filters, kernel_size)`, filters >= 2, such as
            `((64, 8), (128, 5), (64, 3))`: convolutions that find short shapes for the
            recurrence to put in order. Padding has no influence on them, nor on the
            statistics of their batch normalization, which follow the batches of some
            ten steps (momentum 0.9), so that few rows suffice. None for no
            convolution.
        pool_size: Int >= 1. So many steps, counted from the first valid one, become
            one before the recurrence, by the largest value of each filter: 2 halves
            the time it takes. With `convolutions` only. `max_length` counts the steps
            before.
        convolution_mean: Bool. The head also sees the mean over all steps of what the
            convolutions find (`layers.SequenceMean`, before `pool_size`): how much
            there is of each shape, wherever it is. With `convolutions` only.
        scaling: Adapted layer for float sequences, such as `layers.StandardScaling`.
        augmentation: Layer that changes steps or token ids while training, such as a
            `layers.TimeWarp` or `layers.TokenDropout`, or several, one after the
            other; None for none.
        missing: "indicator": values of float sequences that are NaN are 0 after
            `scaling`, and further channels say which were there, each value by itself
            (`layers.MissingIndicator`). None: no value is NaN.
        embedding_matrix: Array `(vocabulary_size, embedding_units)` of finite numbers,
            the vectors that the embedding starts from, such as published word
            vectors; None for small random ones. Row 0, padding, is never read. Rows of
            words without a vector are the caller's: draws that spread as the others
            do, or the mean of the others for the id of unknown words. A clone of the
            model (`keras.models.clone_model`) has none of them until it is given
            the weights.
        train_embedding: Bool. False leaves `embedding_matrix` as it is in training.
        members: Int >= 1. Networks that are trained together: each has its own
            convolutions, recurrent layers, attention and head, behind one embedding
            or scaling. Losses are taken per member, the prediction is their mean.
            Costs `members` times the time.
        target_scaling: Adapted layer with `inverse`, or None, as in `models.mlp`; for
            targets of the shape (24, 3) adapted on `(batch, 24, 3)`, by series.
        baseline: Model of the same inputs and outputs that this one corrects, such as a
            fitted `autoregression`: what it gives, before any target scaling is undone,
            is added to what each member gives. It becomes a part of the model, and is
            not trained. None for none; not with an `output_activation`.
        task: "classification", "binary", "regression" or None; heads and losses are
            those of `models.mlp`.
        classes: Sequence of the names of the classes, as in `models.mlp`, or None.
        output_activation: Name or function; None for linear. Not with a task whose
            head gives logits.
        name: String. Name of the model.

    Returns:
        A functional `models.TaskModel`; input "tokens" (int32) or "sequences" (Keras'
        float type), output layer "outputs". A sequence without a valid step gets the
        prediction for zeros. With members, a target scaling or a baseline a
        `models.MemberModel`.
        `models.attention_scores(model)` shows the weights.

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
    arXiv:1512.05287. Convolutions before the recurrence Ordonez and Roggen, 2016,
    doi:10.3390/s16010115, without normalization and pooling; their blocks and the mean
    of them Karim et al., 2017, arXiv:1709.05206, whose LSTM reads the sequence itself.
    A linear baseline under the network Lai et al., 2018, arXiv:1703.07015, equation 9,
    trained with it there.
    """
    check_sequence_input(
        input_shape, vocabulary_size, embedding_units, mask_value, scaling, missing
    )
    check_embedding_matrix(
        embedding_matrix, train_embedding, vocabulary_size, embedding_units
    )
    purpose = "gives the units per direction and layer"
    check_counts("units", units, purpose, 0 if convolution_mean is True else 1)
    shape = prediction_shape(outputs, task)
    check_head(task, shape[-1], output_activation, classes)
    check_members(members, target_scaling, task)
    check_convolutions(convolutions, pool_size, convolution_mean)
    check_choice("attention", attention, "compares the query with a step", _SCORES)
    check_choice("query", query, "is what the steps are compared with", _QUERIES)
    check_number(
        "dropout",
        dropout,
        "is the share of the inputs dropped while training",
        at_least=0,
        below=1,
    )
    check_augmentation(augmentation)
    check_model_name(name)
    if baseline is not None and output_activation is not None:
        raise ValueError(
            "`output_activation` is applied to the head and must be None with a "
            "`baseline`, which is added to it. "
            f"Received: output_activation={output_activation!r}."
        )

    inputs, x = sequence_input(
        input_shape,
        vocabulary_size,
        embedding_units,
        mask_value,
        SequenceTruncation(max_length, keep, name="truncation"),
        scaling,
        augmentation,
        missing,
        embedding_matrix,
        train_embedding,
    )
    base = None
    if baseline is not None:
        base = baseline_members(baseline, inputs, shape, task, classes, target_scaling)
    multi_scale = MultiScale(scales, name="scales")
    if tuple(scales) != (1,):
        x = multi_scale(x)
    are_measurements = vocabulary_size is None and convolutions is None
    rates = {
        "dropout": dropout,
        "recurrent_dropout": recurrent_dropout,
        "recurrent_weight_dropout": recurrent_weight_dropout,
    }
    vectors = []
    for member in range(1, members + 1):
        prefix = f"member_{member}_" if members > 1 else ""
        steps, parts = _convolved(x, convolutions or (), prefix), []
        if convolution_mean:
            parts = [SequenceMean(name=f"{prefix}convolution_mean")(steps)]
        if units:
            steps = _fewer(steps, pool_size, prefix)
            steps, states = _recurrent(steps, units, rates, are_measurements, prefix)
            parts = [_pooled(steps, states[::2], attention, query, prefix), *parts]
        vectors.append(_joined(parts, prefix))
    x = vectors[0] if members == 1 else _side_by_side(vectors)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return headed_model(
        inputs,
        x,
        shape,
        output_activation=output_activation,
        task=task,
        members=members,
        target_scaling=target_scaling,
        classes=classes,
        name=name,
        baseline=base,
    )


def _convolved(
    x: Tensor, convolutions: Sequence[tuple[int, int]], prefix: str
) -> Tensor:
    """The steps behind the convolutions."""
    for number, (filters, kernel_size) in enumerate(convolutions, start=1):
        name = f"{prefix}convolution_{number}"
        x = MaskedConv1D(int(filters), int(kernel_size), use_bias=False, name=name)(x)
        name = f"{prefix}normalization_{number}"
        x = keras.layers.BatchNormalization(momentum=_KEPT_STATISTICS, name=name)(x)
        x = keras.layers.Activation("relu", name=f"{prefix}activation_{number}")(x)
    return x


def _fewer(x: Tensor, pool_size: int, prefix: str) -> Tensor:
    """The largest values of each `pool_size` steps."""
    if pool_size == 1:
        return x
    windows = MultiScale((int(pool_size),), "max", join=False, name=f"{prefix}pooling")
    return windows(x)[0]


def _recurrent(
    x: Tensor,
    units: Sequence[int],
    rates: dict[str, Any],
    are_measurements: bool,
    prefix: str,
) -> tuple[Tensor, list[Tensor]]:
    """The steps behind the last recurrent layer, and its final states."""
    states: list[Tensor] = []
    for number, width in enumerate(units, start=1):
        undropped = {"dropout": 0.0} if number == 1 and are_measurements else {}
        x, *states = VariationalLSTM(
            width,
            bidirectional=True,
            return_sequences=True,
            return_state=True,
            name=f"{prefix}bilstm_{number}",
            **rates | undropped,
        )(x)
    return x, states


def _pooled(
    x: Tensor,
    last_outputs: list[Tensor],
    attention: str | None,
    query: str,
    prefix: str,
) -> Tensor:
    """One vector per sequence: the mean that attention weighs, or the final state."""
    joined = keras.layers.Concatenate(name=f"{prefix}final_state")
    final_state = joined(last_outputs)
    if attention is None:
        return final_state
    pooling = AttentionPooling(attention, query, name=f"{prefix}attention")
    sources = x if query == "learned" else [x, final_state]
    pooled, _ = pooling(sources, return_attention_scores=True)
    return pooled


def _joined(parts: list[Tensor], prefix: str) -> Tensor:
    """The attention's vector, the mean of convolved steps, or both in this order."""
    if len(parts) == 1:
        return parts[0]
    return keras.layers.Concatenate(name=f"{prefix}with_convolution_mean")(parts)


def _side_by_side(vectors: list[Tensor]) -> Tensor:
    """One vector per member, `(batch, members, width)`."""
    each = (1, vectors[0].shape[-1])
    rows = [
        keras.layers.Reshape(each, name=f"member_{number}")(vector)
        for number, vector in enumerate(vectors, start=1)
    ]
    return keras.layers.Concatenate(axis=1, name="member_vectors")(rows)
