from keras_trainkit.hypermodels._bilstm_attention_space import (
    bilstm_attention_kinds,
    widths_of,
)
from keras_trainkit.hypermodels._hyper_network import HyperNetwork
from keras_trainkit.hypermodels._space import units_of
from keras_trainkit.models import bilstm_attention
from keras_trainkit.models._sequence_input import check_sequence_input


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
            `keras.layers.TextVectorization`), "input_shape", "vocabulary_size" and
            "scaling" (an adapted layer, or several by name, from which `space`
            chooses); or None. See `HyperMLP`.
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

    _parts = ("encoding", "input_shape", "vocabulary_size", "scaling")
    _named_parts = ("scaling",)

    def __init__(
        self,
        input_shape,
        outputs,
        task="classification",
        *,
        vocabulary_size=None,
        mask_value=None,
        max_length=500,
        keep="end",
        one_hot=False,
        space=None,
        prepare=None,
        classes=None,
        metrics=(),
        steps_per_execution=1,
        name=None,
        tunable=True,
    ):
        is_tokens = isinstance(input_shape, list | tuple) and len(input_shape) == 1
        comes_later = prepare is not None and is_tokens and vocabulary_size is None
        size = 2 if comes_later else vocabulary_size
        check_sequence_input(input_shape, size, 1, mask_value, None)
        self.input_shape = input_shape
        self.vocabulary_size = vocabulary_size
        self.mask_value = mask_value
        self.max_length = max_length
        self.keep = keep
        super().__init__(
            bilstm_attention_kinds(space, self._named_parts, is_tokens),
            outputs,
            task,
            one_hot=one_hot,
            space=space,
            prepare=prepare,
            classes=classes,
            metrics=metrics,
            steps_per_execution=steps_per_execution,
            learning_rate=5e-3,
            global_clipnorm=1.0,
            name=name,
            tunable=tunable,
        )

    def _network(self, values, parts):
        parts = {
            "input_shape": self.input_shape,
            "vocabulary_size": self.vocabulary_size,
            **parts,
        }
        attention = values["attention"]
        names = ("embedding_units", "query")
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
            scales=widths_of(values["scales"]),
            task=self.task,
            classes=self.classes,
            **optional,
            **parts,
        )
