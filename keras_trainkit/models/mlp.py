from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_trainkit._checks import check_choice, check_counts, check_flag, check_number
from keras_trainkit._types import Layer, Tensor
from keras_trainkit.initializers import for_activation
from keras_trainkit.layers import MemberAdapter
from keras_trainkit.models._arguments import (
    check_augmentation,
    check_model_name,
    check_scaling,
)
from keras_trainkit.models._heads import (
    check_head,
    check_members,
    headed_model,
    is_activation,
)
from keras_trainkit.models._initializers import check_initializer, hidden_initializer
from keras_trainkit.models._table_input import check_table_input, table_input


def mlp(
    input_shape: Sequence[int],
    outputs: int,
    hidden_units: Sequence[int] = (256, 256, 256),
    *,
    activation: str | Callable | keras.layers.Layer = "relu",
    initializer: str | keras.initializers.Initializer = "paired",
    normalization: str | None = None,
    dropout: float = 0.1,
    l1: float = 0.0,
    l2: float = 0.0,
    residual: bool = False,
    scaling: keras.layers.Layer | None = None,
    augmentation: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    numeric_embedding: keras.layers.Layer | None = None,
    category_sizes: Sequence[int] | None = None,
    members: int = 1,
    target_scaling: keras.layers.Layer | None = None,
    task: str | None = None,
    classes: Sequence | None = None,
    output_activation: str | Callable | None = None,
    name: str = "mlp",
) -> keras.Model:
    """Builds an uncompiled multilayer perceptron.

    Each hidden layer is a block, in this order: `Dense`, normalization, activation,
    dropout. With `residual` the block's input is added to what comes out of dropout, so
    the direct path is never dropped; where widths differ it goes through a `Dense`
    without bias first.

    The head is one `Dense` layer, by task:

    | task             | outputs           | head                | loss                |
    | ---------------- | ----------------- | ------------------- | ------------------- |
    | "classification" | classes, >= 2     | logits              | sparse categorical  |
    |                  |                   |                     | cross-entropy       |
    | "binary"         | yes/no labels,    | logits              | binary              |
    |                  | mostly 1          |                     | cross-entropy       |
    | "regression"     | values            | `output_activation` | "mse", "mae", ...   |
    | None             | any               | `output_activation` | what fits           |

    For tables, `numeric_embedding` and `category_sizes` turn each column into a few
    numbers before the first block, and `members` trains an ensemble that shares all
    its blocks (TabM-mini): each member scales the embedded features by weights of its
    own (`layers.MemberAdapter`) and has its own head (`layers.MemberDense`). The
    prediction is their mean; see `models.MemberModel` for what is trained and shown.

    Compile with `models.loss_for(model)` and `models.metrics_for(model)`, or losses and
    metrics of your own; one of Keras that does not fit the head brings a warning. Read
    predictions with `models.predict_proba` and `models.predict_labels`.
    For probabilities instead of logits leave `task` None and give `output_activation`
    "softmax" or "sigmoid". The head starts with Glorot's initializer and computes in
    float32 under mixed precision.

    Args:
        input_shape: Sequence of ints >= 1. Shape of one sample; more than one axis is
            flattened, after `scaling`.
        outputs: Int >= 1. Units of the head.
        hidden_units: Sequence of ints >= 1. Units per hidden layer; empty gives a
            linear model.
        activation: Name, function or layer of each block. A layer is copied for each
            block, so that learned parameters belong to one block.
        initializer: "paired", the name of an initializer, or a Keras initializer. Sets
            the hidden kernels. "paired" is `initializers.for_activation(activation)`. A
            name (glorot, he or lecun, `_normal` or `_uniform`) is checked against it:
            bounded activations take glorot, others the one whose variance is within 10
            percent. An initializer object (with seed None) is the override: it is not
            checked, and cloned for each layer.
        normalization: "batch" for batch normalization (the `Dense` before it has no
            bias, which its shift would only repeat), "layer" for layer normalization
            (for small batches), None for none.
        dropout: Float in [0, 1). Share of units set to 0 while training; 0 adds no
            layer. Numbers are learned better without, where training ends by
            validation: the units behind it vary more in training than afterwards (Li et
            al., 2019, arXiv:1801.05134), and so does the output.
        l1: Float >= 0. Adds `l1 * sum(abs(w))` to the loss, for every kernel.
        l2: Float >= 0. Adds `l2 * sum(w ** 2)`, without a factor of one half, for every
            kernel; with `l1` an elastic net. Biases and normalization are free.
        residual: Bool. Adds each block's input to its output.
        scaling: Adapted layer put first, such as `layers.StandardScaling` or
            `keras.layers.Normalization`; None for inputs scaled already.
        augmentation: Layer that changes the numbers while training, put after
            `scaling`, such as a `layers.GaussianFeatureNoise`, or several, one after
            the other; None for none. Categories are left alone.
        numeric_embedding: Layer from `(batch, features)` to `(batch, features, units)`
            put after these, such as an adapted `layers.PiecewiseLinearEmbedding`
            or a `layers.PeriodicEmbedding`; None for the numbers themselves.
        category_sizes: Sequence of ints >= 1, the number of codes per column, such as
            `TableEncoder.category_sizes`. The model then takes a dict: "numeric",
            of `input_shape` (which may be `(0,)`; then no `scaling`, `augmentation` or
            `numeric_embedding` is put before the blocks), and "categorical", integers
            `(batch, columns)`, of no column where it is empty. They go through a
            `layers.CategoricalEmbedding`. None: the numbers are the only input.
        members: Int >= 1. Members of the ensemble. Blocks cost `members` times the
            arithmetic, weights hardly grow.
        target_scaling: Adapted layer with `inverse`, such as `layers.StandardScaling`
            adapted on targets of the shape `(batch, outputs)`, or None. Losses are then
            taken on scaled targets; predictions and metrics stay in the units of the
            targets. Only for the task "regression" or None. Under mixed precision it
            must have been made with `dtype="float32"`.
        task: "classification", "binary", "regression" or None; see the table.
        classes: Sequence of different strings, integers, bools or floats, all of one
            type: the names of the label codes 0, 1, ..., of a single yes/no output
            those of no and yes. They go with the model into files and SavedModels. None
            for the codes themselves.
        output_activation: Name or function; None for linear. Not with a task whose head
            gives logits.
        name: String. Name of the model.

    Returns:
        A functional `models.TaskModel`, input "features" (or the dict of
        `category_sizes`), output layer "outputs"; a `models.MemberModel` with members
        or a target scaling. The input dtype is Keras' float type.

    Raises:
        ValueError: for an argument out of range, or an initializer named by hand that
            does not fit the activation.

    Example:

    ```python
    model = mlp((30,), 3, (128, 64), activation="gelu", task="classification")
    model.compile("adam", models.loss_for(model), metrics=models.metrics_for(model))
    ```

    Source: block order Ioffe and Szegedy, 2015, arXiv:1502.03167; residual blocks of
    one layer after Gorishniy et al., 2021, arXiv:2106.11959, who normalize first;
    members Gorishniy et al., 2024, arXiv:2410.24210.
    """
    check_table_input(input_shape, numeric_embedding, category_sizes)
    check_members(members, target_scaling, task)
    check_counts("hidden_units", hidden_units, "gives the units per hidden layer", 0)
    check_model_name(name)
    check_head(task, outputs, output_activation, classes)
    _check_rates(dropout, l1, l2)
    _check_blocks(residual, normalization, activation)
    check_scaling(scaling)
    check_augmentation(augmentation)
    check_initializer(initializer, activation)

    kernel_initializer = hidden_initializer(initializer, activation)
    regularizer = keras.regularizers.L1L2(l1, l2) if l1 or l2 else None
    inputs, x, groups = table_input(
        input_shape, scaling, numeric_embedding, category_sizes, augmentation
    )
    if members > 1:
        x = MemberAdapter(members, groups, name="adapter")(x)
    for number, units in enumerate(hidden_units, start=1):
        block_input = x
        x = keras.layers.Dense(
            int(units),
            use_bias=normalization != "batch",
            kernel_initializer=kernel_initializer.clone(),
            kernel_regularizer=regularizer,
            name=f"dense_{number}",
        )(x)
        x = _normalized(x, normalization, number)
        x = _activation_layer(activation, number)(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"dropout_{number}")(x)
        if residual:
            x = _residual_sum(block_input, x, regularizer, number)
    return headed_model(
        inputs,
        x,
        (int(outputs),),
        output_activation=output_activation,
        regularizer=regularizer,
        task=task,
        members=members,
        target_scaling=target_scaling,
        classes=classes,
        name=name,
    )


def _normalized(x: Tensor, normalization: str | None, number: int) -> Tensor:
    name = f"normalization_{number}"
    if normalization == "batch":
        return keras.layers.BatchNormalization(name=name)(x)
    if normalization == "layer":
        return keras.layers.LayerNormalization(name=name)(x)
    return x


def _activation_layer(activation: str | Callable | Layer, number: int) -> Layer:
    name = f"activation_{number}"
    if isinstance(activation, keras.layers.Layer):
        config = {**activation.get_config(), "name": name}
        return type(activation).from_config(config)
    return keras.layers.Activation(activation, name=name)


def _residual_sum(
    block_input: Tensor,
    x: Tensor,
    regularizer: keras.regularizers.Regularizer | None,
    number: int,
) -> Tensor:
    units = x.shape[-1]
    if block_input.shape[-1] != units:
        block_input = keras.layers.Dense(
            units,
            use_bias=False,
            kernel_initializer=for_activation(None),
            kernel_regularizer=regularizer,
            name=f"projection_{number}",
        )(block_input)
    return keras.layers.Add(name=f"add_{number}")([block_input, x])


def _check_rates(dropout: Any, l1: Any, l2: Any) -> None:
    check_number(
        "dropout",
        dropout,
        "is the share of units set to 0 while training",
        at_least=0,
        below=1,
    )
    check_number("l1", l1, "weighs the sum of absolute kernel values", at_least=0)
    check_number("l2", l2, "weighs the sum of squared kernel values", at_least=0)


def _check_blocks(residual: Any, normalization: Any, activation: Any) -> None:
    check_flag("residual", residual, "adds each block's input to its output")
    check_choice(
        "normalization",
        normalization,
        "steadies the inputs of activations",
        (None, "batch", "layer"),
    )
    if not is_activation(activation):
        raise ValueError(
            "`activation` bends the signal in each block and must be the name of a "
            "Keras activation, a function or a layer. "
            f"Received: activation={activation!r}."
        )
