from collections.abc import Sequence

import keras

from keras_trainkit._types import Tensor
from keras_trainkit.layers import AttentionPooling, MemberMean
from keras_trainkit.models.member_model import MemberModel
from keras_trainkit.models.task_model import TaskModel


def attention_scores(model: keras.Model) -> keras.Model:
    """A model that returns the attention weights instead of the predictions.

    It shares its layers with `model`, so it needs no training of its own and follows
    when `model` is trained on.

    Args:
        model: Functional `keras.Model` with one `layers.AttentionPooling`, called
            with `return_attention_scores=True`, such as `models.bilstm_attention`
            gives, loaded from a file or not. Or a `models.MemberModel` with one for
            each member, or a `models.ensemble` of which a network has one.

    Returns:
        A `keras.Model` with the inputs of `model`, whose output `(batch, time)` adds
        up to 1 over the valid steps of each row and is 0 at masked ones. `time` is
        that of the steps that attention sees: `max_length` where `model` cuts; with
        a `pool_size` of 2 half of it, rounded up, counted from the first valid step.
        Of several members, or networks that have them, the mean of their weights.

    Raises:
        ValueError: `model` is not functional, or has no such layer or several, or
            calls it without the scores.

    Example:

    ```python
    model = bilstm_attention((None, 9), 6, (32, 32))
    weights = attention_scores(model).predict(np.zeros((1, 50, 9)))  # (1, 50)
    ```
    """
    members = model.layers[-1].input.shape[1] if isinstance(model, MemberModel) else 1
    weights = _all_weights(model, members)
    if len(weights) == 1:
        return TaskModel(model.input, weights[0], name="attention_scores")
    mean = keras.layers.Average(dtype=weights[0].dtype, name="mean")(weights)
    return TaskModel(model.input, mean, name="attention_scores")


def _all_weights(model: keras.Model, members: int) -> list[Tensor]:
    """The weights of each member that attends, of the networks of an ensemble too."""
    layers = getattr(model, "layers", ())
    found = [layer for layer in layers if isinstance(layer, AttentionPooling)]
    networks = [one for one in _averaged(layers) if _attends(one)]
    is_plain = len(found) in (1, members) and not networks
    if not getattr(model, "inputs", None) or not (is_plain or (networks and not found)):
        raise ValueError(
            "`model` is what attends and must be a functional model with one "
            "`layers.AttentionPooling` among its layers, or one for each member, or a "
            "`models.ensemble` of such. "
            f"Received: model={model!r} with {len(found)} of them."
        )
    weights = [_weights_of(model, layer) for layer in found]
    for network in networks:
        of_network = _all_weights(network, network.output.shape[1])
        weights += keras.Model(network.input, of_network)(model.input)
    return weights


def _averaged(layers: Sequence[keras.layers.Layer]) -> list[keras.Model]:
    """The networks, if these are the layers of an ensemble: all read its inputs."""
    networks = [layer for layer in layers if isinstance(layer, keras.Model)]
    ends = [one for one in layers if isinstance(one, keras.layers.Concatenate)]
    around = (
        keras.Model,
        keras.layers.InputLayer,
        keras.layers.Concatenate,
        MemberMean,
    )
    joined = len(ends[0].input) if ends else 1
    is_ensemble = all(isinstance(layer, around) for layer in layers)
    return networks if is_ensemble and len(networks) == joined else []


def _attends(layer: keras.layers.Layer) -> bool:
    """True for the attention, and for a model that has it."""
    inner = getattr(layer, "layers", ())
    return isinstance(layer, AttentionPooling) or any(map(_attends, inner))


def _weights_of(model: keras.Model, layer: AttentionPooling) -> Tensor:
    # Keras 3.15 does not connect a second call that has more outputs than the first.
    if not isinstance(layer.output, (list, tuple)):
        raise ValueError(
            "`model` is what attends and must call its attention layer with "
            "`return_attention_scores=True`. Received: "
            f"model={model!r}, whose layer {layer.name!r} gives the output alone."
        )
    return layer.output[1]
