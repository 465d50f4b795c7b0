from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_trainkit.hypermodels._domains import (
    ChoiceDomain,
    Domain,
    FlagDomain,
    NumberDomain,
)
from keras_trainkit.hypermodels._hyper_network import HyperNetwork
from keras_trainkit.hypermodels._space import units_of
from keras_trainkit.models import mlp
from keras_trainkit.models._heads import is_activation
from keras_trainkit.models._table_input import check_table_input

_PENALTIES = ("none", "l1", "l2", "elastic_net")
_NORMALIZATIONS = ("none", "batch", "layer")


def _penalty(terms: str, name: str) -> NumberDomain:
    return NumberDomain(
        f"weighs the sum of {terms} kernel values",
        (1e-5, 1e-2),
        1e-4,
        when=("penalty", (name, "elastic_net")),
        log=True,
        bounds={"at_least": 0},
    )


_DOMAINS: dict[str, Domain] = {
    "layers": NumberDomain(
        "is the number of hidden layers",
        (1, 4),
        3,
        whole=True,
        bounds={"at_least": 0},
    ),
    "units": NumberDomain(
        "is the width of a hidden layer",
        (32, 512, 2),
        256,
        whole=True,
        log=True,
        bounds={"at_least": 1},
    ),
    "activation": ChoiceDomain(
        "bends the signal in each block",
        ["relu", "gelu", "silu", "mish", "tanh"],
        is_allowed=is_activation,
        described="the name of a Keras activation",
    ),
    "normalization": ChoiceDomain(
        "steadies the inputs of activations",
        list(_NORMALIZATIONS),
        allowed=_NORMALIZATIONS,
    ),
    "residual": FlagDomain("adds each block's input to its output", [False, True]),
    "dropout": NumberDomain(
        "is the share of units set to 0 while training",
        (0.2, 0.5),
        0.2,
        bounds={"at_least": 0, "below": 1},
    ),
    "penalty": ChoiceDomain(
        "chooses between l1 and l2 penalties", "none", allowed=_PENALTIES
    ),
    "l1": _penalty("absolute", "l1"),
    "l2": _penalty("squared", "l2"),
    "members": NumberDomain(
        "is the number of members of the ensemble",
        1,
        whole=True,
        bounds={"at_least": 1},
    ),
}


class HyperMLP(HyperNetwork):
    """Search space over `models.mlp` and its training.

    | name               | searched by default           | used                       |
    | ------------------ | ----------------------------- | -------------------------- |
    | `layers`           | 1 to 4                        |                            |
    | `units_0`, ...     | 32, 64, 128, 256, 512         | in layer 0, ... if it is   |
    |                    |                               | there; `units` sets all    |
    | `activation`       | relu, gelu, silu, mish, tanh  |                            |
    | `normalization`    | none, batch, layer            |                            |
    | `residual`         | False, True                   |                            |
    | `dropout`          | 0.2 to 0.5                    |                            |
    | `penalty`          | fixed: none; l1, l2,          |                            |
    |                    | elastic_net                   |                            |
    | `l1`, `l2`         | 1e-5 to 1e-2, log             | as `penalty` says          |
    | `members`          | fixed: 1                      |                            |
    | `scaling`,         | what `prepare` returns; names | if the space names them    |
    | `augmentation`,    | to choose from, see there     |                            |
    | `numeric_embedding`,|                              |                            |
    | `target_scaling`   |                               |                            |
    | `optimizer`        | adamw, sgdw                   |                            |
    | `learning_rate`    | 1e-5 to 1, log                | the peak of a cycle        |
    | `momentum`         | 0.9 to 0.99                   | by sgdw; in a cycle the    |
    |                    |                               | highest, 0.1 lower at the  |
    |                    |                               | peak of the rate           |
    | `beta_2`, `epsilon`| fixed: 0.999, 1e-8            | by adamw                   |
    | `weight_decay`     | 1e-6 to 1e-2, log             |                            |
    | `global_clipnorm`  | fixed: 0 (no limit)           |                            |
    | `schedule`         | one_cycle, constant           |                            |
    | `warmup_fraction`  | fixed: 0.45                   | by one_cycle               |
    | `batch_size`       | 32, 64, 128, 256              |                            |
    | `label_smoothing`  | fixed: 0                      | in binary tasks and with   |
    |                    |                               | `one_hot`                  |

    One that is not used in a trial is inactive there (`hp.conditional_scope`). What
    is fixed by default is no part of a trial. `space` says otherwise, name by name:

    | `space={name: ...}`        | meaning                                            |
    | -------------------------- | -------------------------------------------------- |
    | `0.01`, `"relu"`, `False`  | fixed                                              |
    | `[32, 100]`                | one of these                                       |
    | `(0.001, 0.1)`             | a range, on the scale of the table                 |
    | `(0.001, 0.1, 10)`         | every value from lowest to highest by this step;   |
    |                            | a factor where the scale is log                    |
    | `None`, for `batch_size`   | no hyperparameter: what `search` is given counts;  |
    |                            | needed for data sets that come in batches          |

    `fit` uses the batch size (of at least 256 for the validation rows, unless
    `validation_batch_size` is given), and for `one_cycle` puts `callbacks.OneCycle`
    beside the caller's callbacks, its cycle as long as the epochs of that fit.
    (KerasTuner's own Hyperband promotes a trial by a further fit of more epochs:
    optimizer and step count go on, but in a longer cycle, further from its end than
    before.) On TensorFlow, NumPy arrays of up to 65,536 rows go through a `tf.data`
    set that starts ten times faster than the one Keras makes of them: batches alike,
    shuffled otherwise. A plain `model.fit` of a built model trains at the constant rate
    `learning_rate`.

    Penalties and smoothing are part of the validation loss too, and a search by it
    would prefer small ones whatever they do. With one of them in the space take
    `objective=hypermodel.objective`, which leaves them out.

    Args:
        input_shape: Sequence of ints, the shape of one sample, as in `models.mlp`;
            None where `prepare` returns it.
        outputs: Int >= 1. Units of the head: classes, labels or values.
        task: "classification", "binary" or "regression". Heads give logits or values;
            losses are cross-entropy and mean squared error.
        one_hot: Bool. Labels of a classification are rows of
            `keras.utils.to_categorical`, not integers.
        space: Dict as above, or None.
        prepare: Function `prepare(x_train, y_train)` that makes and adapts layers and
            returns those that it has as a dict, keys from "scaling",
            "augmentation", "numeric_embedding", "category_sizes", "target_scaling",
            "input_shape" (arguments of `models.mlp`) and "encoding" (a function of x,
            such as an adapted `layers.TableEncoder`; `fit` takes x through it). For a
            layer it may return a dict by name, from which `space` chooses:
            `space={"scaling": ["robust", "none"]}` with
            `{"scaling": {"robust": layer}}`. Every model gets copies. See `prepare`
            below for when it is called. None for inputs that need nothing.
        classes: Sequence of the names of the classes, as in `models.mlp`, or None.
        metrics: List of names and `keras.metrics.Metric` objects beside accuracy or
            root mean squared error.
        steps_per_execution: Int >= 1, as in `Model.compile`; above 1 not on torch.
        name: String or None.
        tunable: Bool, as in `keras_tuner.HyperModel`.

    Attributes:
        prepared: Dict that `prepare` returned; None before its first call.
        objective: `keras_tuner.Objective` that compares trials fairly.

    Raises:
        ValueError: From the constructor, before any trial, for an argument or an entry
            of `space` out of its range; from `build` where rows have yet to be
            prepared; from `fit` for a data set that has its batches already.

    Example:

    ```python
    hypermodel = HyperMLP((30,), 1, "binary", space={"layers": (1, 2), "units": 64})
    tuner = keras_tuner.RandomSearch(hypermodel, hypermodel.objective, max_trials=20)
    tuner.search(x_train, y_train, validation_data=(x_valid, y_valid), epochs=30)
    model = hypermodel.build(tuner.get_best_hyperparameters()[0])
    ```

    Source: ranges after Bengio, 2012, arXiv:1206.5533, and Smith, 2018,
    arXiv:1803.09820; dropout 0.2 to 0.5 Srivastava et al., 2014.
    """

    _parts = (
        "encoding",
        "input_shape",
        "scaling",
        "augmentation",
        "numeric_embedding",
        "category_sizes",
        "target_scaling",
    )
    _named_parts = ("scaling", "augmentation", "numeric_embedding", "target_scaling")
    _learning_rate = 1e-2
    _global_clipnorm = 0.0

    def __init__(
        self,
        input_shape: Sequence[int] | None,
        outputs: int,
        task: str = "classification",
        *,
        one_hot: bool = False,
        space: dict[str, Any] | None = None,
        prepare: Callable | None = None,
        classes: Sequence | None = None,
        metrics: Sequence = (),
        steps_per_execution: int = 1,
        name: str | None = None,
        tunable: bool = True,
    ):
        if prepare is None or input_shape is not None:
            sizes = None if prepare is None else [1]  # it may bring the categories
            check_table_input(input_shape, None, sizes if input_shape == (0,) else None)
        self.input_shape = input_shape
        super().__init__(
            outputs,
            task,
            one_hot=one_hot,
            space=space,
            prepare=prepare,
            classes=classes,
            metrics=metrics,
            steps_per_execution=steps_per_execution,
            name=name,
            tunable=tunable,
        )

    def _builder_domains(self) -> dict[str, Domain]:
        return _DOMAINS

    def _network(self, values: dict[str, Any], parts: dict[str, Any]) -> keras.Model:
        parts = {"input_shape": self.input_shape, **parts}
        normalization = values["normalization"]
        return mlp(
            outputs=self.outputs,
            hidden_units=units_of(values),
            activation=values["activation"],
            normalization=None if normalization == "none" else normalization,
            dropout=values["dropout"],
            l1=values.get("l1", 0.0),
            l2=values.get("l2", 0.0),
            residual=values["residual"],
            members=values["members"],
            task=self.task,
            classes=self.classes,
            **parts,
        )
