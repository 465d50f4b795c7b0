from collections.abc import Sequence

import keras

from keras_trainkit._checks import check_count
from keras_trainkit._types import Layer, Tensor
from keras_trainkit.layers import (
    CategoricalEmbedding,
    PiecewiseLinearEmbedding,
    RadialBasis,
)
from keras_trainkit.models._arguments import check_model_name, check_scaling
from keras_trainkit.models._heads import check_head, check_members, headed_model
from keras_trainkit.models._table_input import check_table_input


def kernel_machine(
    input_shape: Sequence[int],
    outputs: int,
    units: int,
    *,
    kernel: str = "matern32",
    seed: int = 0,
    additive_bins: int = 0,
    scaling: keras.layers.Layer | None = None,
    category_sizes: Sequence[int] | None = None,
    target_scaling: keras.layers.Layer | None = None,
    task: str | None = None,
    classes: Sequence | None = None,
    name: str = "kernel_machine",
) -> keras.Model:
    """Builds an uncompiled linear model of how like a row is to rows that it keeps.

    It is trained by `fit`, or in closed form by ridge regression, as
    `estimators.TableRegressor` does where rows are few.

    | step       | layers                                                           |
    | ---------- | ---------------------------------------------------------------- |
    | numbers    | `scaling`                                                        |
    | categories | one-hot, whatever their number: `layers.CategoricalEmbedding`    |
    | columns    | both together, "columns"                                         |
    | likeness   | `layers.RadialBasis`, "basis", to be adapted to the columns      |
    | additive   | with `additive_bins` a function of each number for each output,  |
    |            | `layers.PiecewiseLinearEmbedding`, "additive", to be adapted to  |
    |            | the numbers; and the categories: both beside the likeness        |
    | head       | one `Dense`, as in `mlp`                                         |

    Likeness tells what columns say together, and needs many rows to tell a jump of one
    of them; the additive part tells such from few.

    Args:
        input_shape: `(columns,)`. Numbers of a row.
        outputs: Int >= 1. Units of the head.
        units: Int >= 1. Rows that are kept.
        kernel: As in `layers.RadialBasis`.
        seed: Likewise.
        additive_bins: Int >= 0. Bins of the additive part; 0: the likeness alone.
        scaling: As in `mlp`, and so are the next ones.
        category_sizes: Likewise.
        target_scaling: Likewise.
        task: Likewise.
        classes: Likewise.
        name: String. Name of the model.

    Returns:
        A functional `models.TaskModel`, or a `models.MemberModel` of one member with a
        target scaling; inputs as in `mlp`, output layer "outputs". It computes in
        float32 under mixed precision.

    Raises:
        ValueError: An argument out of range.

    Example:

    ```python
    model = kernel_machine((30,), 3, 200, task="classification")
    columns = keras.Model(model.input, model.get_layer("columns").output)
    model.get_layer("basis").adapt(columns.predict(x_train, verbose=0))
    model.compile(optimizers.AdamW(0.01), models.loss_for(model))
    ```

    Source: Saunders, Gammerman and Vovk, 1998, "Ridge Regression Learning Algorithm in
    Dual Variables"; some rows in place of all after Williams and Seeger, 2001, "Using
    the Nyström Method to Speed Up Kernel Machines".
    """
    check_table_input(input_shape, None, category_sizes)
    if len(input_shape) != 1:
        raise ValueError(
            "`input_shape` is the shape of one sample and must be `(columns,)`. "
            f"Received: input_shape={input_shape!r}."
        )
    check_count("units", units, "is the number of rows that are kept")
    bins_purpose = "is the bins of a function of each number"
    check_count("additive_bins", additive_bins, bins_purpose, at_least=0)
    check_members(1, target_scaling, task)
    check_head(task, outputs, None, classes)
    check_scaling(scaling)
    check_model_name(name)
    inputs, numbers, categories = _columns(tuple(input_shape), scaling, category_sizes)
    columns = _joined([numbers, *categories], "columns")
    basis = RadialBasis(units, kernel, seed, dtype=columns.dtype, name="basis")
    x = basis(columns)
    if additive_bins:
        additive = _additive(numbers, int(outputs), additive_bins)
        x = _joined([x, *additive, *categories], "beside")
    return headed_model(
        inputs,
        x,
        (int(outputs),),
        output_activation=None,
        task=task,
        members=1,
        target_scaling=target_scaling,
        classes=classes,
        name=name,
    )


def _columns(
    input_shape: tuple[int, ...],
    scaling: Layer | None,
    category_sizes: Sequence[int] | None,
) -> tuple[keras.KerasTensor | dict[str, keras.KerasTensor], Tensor, list[Tensor]]:
    """The inputs, the scaled numbers, and the one-hot categories, if there are any."""
    dtype = keras.config.dtype_policy().variable_dtype
    if category_sizes is None:
        inputs = keras.Input(input_shape, name="features")
        return inputs, inputs if scaling is None else scaling(inputs), []
    inputs = {
        "numeric": keras.Input(input_shape, name="numeric"),
        "categorical": keras.Input(
            (len(category_sizes),), dtype="int32", name="categorical"
        ),
    }
    numbers = inputs["numeric"]
    if input_shape[0] and scaling is not None:
        numbers = scaling(numbers)
    one_hot = CategoricalEmbedding(
        list(category_sizes),
        one_hot_up_to=max(category_sizes, default=0),
        dtype=dtype,
        name="categories",
    )(inputs["categorical"])
    return inputs, numbers, [one_hot]


def _joined(parts: list[Tensor], name: str) -> Tensor:
    dtype = keras.config.dtype_policy().variable_dtype
    if len(parts) == 1:
        return keras.layers.Identity(dtype=dtype, name=name)(parts[0])
    return keras.layers.Concatenate(dtype=dtype, name=name)(parts)


def _additive(numbers: Tensor, outputs: int, bins: int) -> list[Tensor]:
    """A function of each number for each output, `(batch, numbers * outputs)`."""
    if not numbers.shape[-1]:
        return []
    dtype = keras.config.dtype_policy().variable_dtype
    additive = PiecewiseLinearEmbedding(bins, outputs, dtype=dtype, name="additive")
    flat = keras.layers.Flatten(dtype=dtype, name="functions")
    return [flat(additive(numbers))]
