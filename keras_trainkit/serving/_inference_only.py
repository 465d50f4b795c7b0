"""A graph of inference alone, which any device can run."""

import contextlib
from collections.abc import Iterable, Iterator

import keras
import tensorflow as tf


@contextlib.contextmanager
def inference_only(sources: Iterable[keras.layers.Layer]) -> Iterator[None]:
    """Within it the models have no optimizer, and no layer uses cuDNN."""
    with _without_optimizer(sources), _without_cudnn(layers_of(sources)):
        yield


def layers_of(sources: Iterable[keras.layers.Layer]) -> list[keras.layers.Layer]:
    """The layers at any depth, those inside a `Bidirectional` included."""
    return [
        part
        for source in sources
        for part in tf.train.TrackableView(source).descendants()
        if isinstance(part, keras.layers.Layer)
    ]


@contextlib.contextmanager
def _without_cudnn(layers: list[keras.layers.Layer]) -> Iterator[None]:
    """Turns off cuDNN, an operation that runs on no device but a GPU."""
    recurrent = [layer for layer in layers if hasattr(layer, "use_cudnn")]
    before = [layer.use_cudnn for layer in recurrent]
    try:
        for layer in recurrent:
            layer.use_cudnn = False
        yield
    finally:
        for layer, use_cudnn in zip(recurrent, before, strict=True):
            layer.use_cudnn = use_cudnn


@contextlib.contextmanager
def _without_optimizer(sources: Iterable[keras.layers.Layer]) -> Iterator[None]:
    """Slots are of no use to a server and thrice the size of the weights.

    Nor could they all be written: once a schedule has taken the place of a number in
    `optimizer.learning_rate`, as after `callbacks.OneCycle`, Keras 3.15 has deleted
    from a list that TensorFlow tracks, and `model.export` itself fails.
    """
    compiled = [
        (model, model.optimizer)
        for source in sources
        for model in _models(source)
        if getattr(model, "optimizer", None) is not None
    ]
    try:
        for model, _ in compiled:
            del model.optimizer  # None would stay tracked
        yield
    finally:
        for model, optimizer in compiled:
            model.optimizer = optimizer


def _models(layer: keras.layers.Layer) -> Iterator[keras.Model]:
    if isinstance(layer, keras.Model):
        yield layer
        for part in layer.layers:
            yield from _models(part)
