from collections.abc import Iterator, Sequence

import keras

from keras_trainkit._types import Tensor
from keras_trainkit.layers import (
    AttentionPooling,
    MemberMean,
    MultiScale,
    SequenceTruncation,
)
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
            calls it without the scores; or its networks read unlike steps, of another
            `max_length`, `keep` or `pool_size`.

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
    _check_same_steps(networks)
    weights = [_weights_of(model, layer) for layer in found]
    for network in networks:
        of_network = _all_weights(network, network.output.shape[1])
        weights += keras.Model(network.input, of_network)(model.input)
    return weights


def _check_same_steps(networks: Sequence[keras.Model]) -> None:
    """Refuses networks of which a weight at one place is of another step."""
    found = [sorted(set(_steps_read(network))) for network in networks]
    for network, steps in zip(networks, found, strict=True):
        if steps != found[0]:
            raise ValueError(
                "`model` is what attends, and the networks of an ensemble must read "
                "the same steps, with one `max_length`, `keep` and `pool_size`, for a "
                "mean of their weights; ask each network by itself. Received: "
                f"{_words(found[0])} in {networks[0].name}, {_words(steps)} in "
                f"{network.name}."
            )


def _steps_read(model: keras.Model) -> Iterator[str]:
    """Arguments that make other steps of those of the inputs, of all layers."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _steps_read(layer)
        elif isinstance(layer, SequenceTruncation):
            time = keras.tree.flatten(layer.input)[0].shape[1]
            if time is None or time > layer.max_length:
                yield f"max_length={layer.max_length}, keep={layer.keep!r}"
        elif isinstance(layer, MultiScale) and not layer.join:
            yield f"pool_size={max(layer.scales)}"


def _words(steps: list[str]) -> str:
    return ", ".join(steps) or "all steps"


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
