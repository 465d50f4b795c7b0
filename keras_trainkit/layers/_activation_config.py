"""What a config says of an activation."""

import keras


def activation_config(activation):
    """Names stay as they were given; functions become what `activations.get` takes."""
    if activation is None or isinstance(activation, str):
        return activation
    return keras.activations.serialize(activation)
