import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras_tuner.errors import FatalValueError

from keras_trainkit._checks import check_choice, check_count
from keras_trainkit.hypermodels._domains import (
    ChoiceDomain,
    Domain,
    FlagDomain,
    NumberDomain,
)
from keras_trainkit.hypermodels._hyper_network import HyperNetwork
from keras_trainkit.hypermodels._space import units_of
from keras_trainkit.models import bilstm_attention
from keras_trainkit.models._sequence_input import check_sequence_input

_SCORES = ("additive", "multiplicative", "dot", "scaled_dot")
_QUERIES = ("final_state", "learned")
_SHARE = {"at_least": 0, "below": 1}


def _widths_of(scales: str) -> tuple[int, ...]:
    """Turns "1,4,16" into (1, 4, 16)."""
    return tuple(int(width) for width in scales.split(","))


def _is_widths(scales: str) -> bool:
    widths = scales.split(",")
    whole = all(width.isdecimal() and int(width) >= 1 for width in widths)
    return whole and len(set(_widths_of(scales))) == len(widths)


def _pairs_of(convolutions: str) -> tuple[tuple[int, int], ...] | None:
    """Turns "64x8,128x5" into ((64, 8), (128, 5)), and "none" into None."""
    if convolutions == "none":
        return None
    pairs = (pair.split("x") for pair in convolutions.split(","))
    return tuple((int(filters), int(size)) for filters, size in pairs)


def _is_pairs(convolutions: str) -> bool:
    pair = r"([2-9]|[1-9]\d+)x[1-9]\d*"
    return re.fullmatch(f"none|{pair}(,{pair})*", convolutions, re.A) is not None


_DOMAINS: dict[str, Domain] = {
    "embedding_units": NumberDomain(
        "is the number of units per token",
        (64, 256, 2),
        128,
        whole=True,
        log=True,
        bounds={"at_least": 1},
    ),
    "layers": NumberDomain(
        "is the number of recurrent layers",
        (1, 3),
        2,
        whole=True,
        bounds={"at_least": 1},
    ),
    "units": NumberDomain(
        "is the width of a recurrent layer per direction",
        (32, 128, 2),
        64,
        whole=True,
        log=True,
        bounds={"at_least": 1},
    ),
    "dropout": NumberDomain(
        "is the share of a layer's inputs dropped",
        (0.2, 0.5),
        0.2,
        bounds=_SHARE,
    ),
    "recurrent_dropout": NumberDomain(
        "is the share of the states dropped", (0.0, 0.5), 0.2, bounds=_SHARE
    ),
    "recurrent_weight_dropout": NumberDomain(
        "is the share of the recurrent weights dropped", 0.0, 0.0, bounds=_SHARE
    ),
    "attention": ChoiceDomain(
        "compares the query with a step",
        ["additive", "multiplicative"],
        allowed=(*_SCORES, "none"),
    ),
    "query": ChoiceDomain(
        "is what the steps are compared with",
        list(_QUERIES),
        when=("attention", _SCORES),
        allowed=_QUERIES,
    ),
    "scales": ChoiceDomain(
        "gives the widths of the windows whose means stand beside each step",
        "1",
        is_allowed=_is_widths,
        described="whole numbers from 1, each once, with commas, such as '1,4,16'",
    ),
    "convolutions": ChoiceDomain(
        "gives filters and lengths of the convolutions before the recurrence",
        "none",
        is_allowed=_is_pairs,
        described="'none' or pairs with commas, 2 filters at least, such as "
        "'64x8,128x5,64x3'",
    ),
    "pool_size": NumberDomain(
        "is the number of steps that become one behind the convolutions",
        1,
        whole=True,
        bounds={"at_least": 1},
    ),
    "convolution_mean": FlagDomain(
        "shows the head the mean of the convolved steps", False
    ),
    "train_embedding": FlagDomain("lets training change the word vectors", True),
    "members": NumberDomain(
        "is the number of networks that are trained together",
        1,
        whole=True,
        bounds={"at_least": 1},
    ),
}


class HyperBiLSTMAttention(HyperNetwork):
    """Search space over `models.bilstm_attention` and its training.

    | name                       | searched by default      | used                    |
    | -------------------------- | ------------------------ | ----------------------- |
    | `embedding_units`          | 64, 128, 256             | with `vocabulary_size`  |
    | `layers`                   | 1 to 3                   |                         |
    | `units_0`, ...             | 32, 64, 128              | in layer 0, ... if it   |
    |                            |                          | is there; `units` sets  |
    |                            |                          | all                     |
    | `dropout`                  | 0.2 to 0.5               |                         |
    | `recurrent_dropout`        | 0 to 0.5                 |                         |
    | `recurrent_weight_dropout` | fixed: 0                 |                         |
    | `attention`                | additive, multiplicative;|                         |
    |                            | dot, scaled_dot, none    |                         |
    | `query`                    | final_state, learned     | unless attention is none|
    | `scales`                   | fixed: "1"; widths with  |                         |
    |                            | commas, "1,4,16"         |                         |
    | `convolutions`             | fixed: "none"; filters   |                         |
    |                            | and lengths with commas, |                         |
    |                            | "64x8,128x5,64x3"        |                         |
    | `pool_size`                | fixed: 1                 | unless convolutions is  |
    |                            |                          | none                    |
    | `convolution_mean`         | fixed: False             | unless convolutions is  |
    |                            |                          | none                    |
    | `train_embedding`          | fixed: True              | with `embedding_matrix` |
    | `members`                  | fixed: 1                 |                         |
    | `scaling`, `augmentation`  | what `prepare` returns;  | if the space names them |
    |                            | names to choose from     |                         |

    The hyperparameters of training are those of `HyperMLP`: `optimizer`,
    `learning_rate`, `momentum`, `beta_2`, `epsilon`, `weight_decay`,
    `global_clipnorm` (here fixed: 1), `schedule`, `warmup_fraction`, `batch_size`,
    `label_smoothing`. So are `space`, `prepare`, `fit`, `encode` and `objective`.

    Args:
        input_shape: `(time,)` for token ids, `(time, features)` for floats, as in
            `models.bilstm_attention`.
        outputs: Int >= 1. Units of the head: classes, labels or values.
        task: "classification", "binary" or "regression".
        vocabulary_size: Int >= 2 for token ids, None for floats or where `prepare`
            returns it.
        mask_value: Float that fills padded steps, or None.
        max_length: Int >= 1. Longer sequences are cut to so many steps.
        keep: "start" or "end". Which end survives the cut.
        one_hot: Bool. Labels of a classification are rows of
            `keras.utils.to_categorical`, not integers.
        space: Dict from names to a value, a list of choices or a range, or None; see
            `HyperMLP`.
        prepare: Function `prepare(x_train, y_train)` that returns a dict, keys from
            "encoding" (a function of x, such as an adapted
            `keras.layers.TextVectorization`), "input_shape", "vocabulary_size",
            "embedding_matrix" (as in `models.bilstm_attention`; fix `embedding_units`
            to its width), "scaling" (an adapted layer) and "augmentation" (a layer or
            a list of layers), of both one or several by name, from which `space`
            chooses: `space={"augmentation": ["none", "warp"]}`; or None. See
            `HyperMLP`.
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
        ValueError: As `HyperMLP`.

    Example:

    ```python
    hypermodel = HyperBiLSTMAttention((None, 9), 6, space={"layers": 1})
    tuner = keras_tuner.RandomSearch(hypermodel, "val_loss", max_trials=20)
    tuner.search(x_train, y_train, validation_data=(x_valid, y_valid), epochs=30)
    ```

    Source: ranges as in `HyperMLP`; a limit on the gradients' norm for recurrent
    networks Pascanu et al., 2013, arXiv:1211.5063.
    """

    _parts = (
        "encoding",
        "input_shape",
        "vocabulary_size",
        "scaling",
        "augmentation",
        "embedding_matrix",
    )
    _named_parts = ("scaling", "augmentation")
    _learning_rate = 5e-3
    _global_clipnorm = 1.0

    def __init__(
        self,
        input_shape: Sequence[int | None],
        outputs: int,
        task: str = "classification",
        *,
        vocabulary_size: int | None = None,
        mask_value: float | None = None,
        max_length: int = 500,
        keep: str = "end",
        one_hot: bool = False,
        space: dict[str, Any] | None = None,
        prepare: Callable | None = None,
        classes: Sequence | None = None,
        metrics: Sequence = (),
        steps_per_execution: int = 1,
        name: str | None = None,
        tunable: bool = True,
    ):
        is_tokens = isinstance(input_shape, list | tuple) and len(input_shape) == 1
        comes_later = prepare is not None and is_tokens and vocabulary_size is None
        size = 2 if comes_later else vocabulary_size
        check_sequence_input(input_shape, size, 1, mask_value, None)
        check_count("max_length", max_length, "is the number of steps to keep")
        check_choice("keep", keep, "is the end that survives", ("start", "end"))
        self.input_shape = input_shape
        self.vocabulary_size = vocabulary_size
        self.mask_value = mask_value
        self.max_length = max_length
        self.keep = keep
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
        domains = dict(_DOMAINS)
        if len(self.input_shape) != 1:
            del domains["embedding_units"], domains["train_embedding"]
        convolved = _convolved(self.space)
        for name in ("pool_size", "convolution_mean"):
            domains[name] = dataclasses.replace(domains[name], when=convolved)
        return domains

    def _network(self, values: dict[str, Any], parts: dict[str, Any]) -> keras.Model:
        parts = {
            "input_shape": self.input_shape,
            "vocabulary_size": self.vocabulary_size,
            **parts,
        }
        _check_width(parts.get("embedding_matrix"), values)
        attention = values["attention"]
        names = (
            *("embedding_units", "query", "pool_size", "convolution_mean"),
            "train_embedding",
        )
        optional = {name: values[name] for name in names if name in values}
        return bilstm_attention(
            outputs=self.outputs,
            units=units_of(values),
            mask_value=self.mask_value,
            max_length=self.max_length,
            keep=self.keep,
            dropout=values["dropout"],
            recurrent_dropout=values["recurrent_dropout"],
            recurrent_weight_dropout=values["recurrent_weight_dropout"],
            attention=None if attention == "none" else attention,
            scales=_widths_of(values["scales"]),
            convolutions=_pairs_of(values["convolutions"]),
            members=values["members"],
            task=self.task,
            classes=self.classes,
            **optional,
            **parts,
        )


def _check_width(embedding_matrix: Any, values: dict[str, Any]) -> None:
    """Ends a search whose trials would fail, one like the other."""
    width, asked = np.shape(embedding_matrix)[1:], values.get("embedding_units")
    if embedding_matrix is not None and width != (asked,):
        raise FatalValueError(
            "`embedding_units` is the number of units per token and must be fixed to "
            "the columns of the `embedding_matrix` of `prepare`, by `space`. "
            f"Received: embedding_units={asked}, columns {width}."
        )


def _convolved(space: Any) -> tuple[str, tuple[str, ...]]:
    """The condition under which there are convolutions."""
    given = space.get("convolutions") if isinstance(space, dict) else None
    choices = given if isinstance(given, list) else [given]
    used = tuple(c for c in choices if isinstance(c, str) and c != "none")
    return "convolutions", used or ("64x8,128x5,64x3",)
