from typing import Any, NoReturn

import keras

from keras_trainkit._types import Model


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Base class of the schedules, which refuses to be used as a callback."""

    def set_model(self, model: Model) -> None:
        self._refuse_as_callback()

    @property
    def on_batch_end(self) -> Any:
        """Keras on TensorFlow and JAX looks at this hook before it sets the model."""
        self._refuse_as_callback()

    def _refuse_as_callback(self) -> NoReturn:
        name = type(self).__name__
        raise ValueError(
            "`callbacks` watch and drive a running `fit` and must be instances of "
            f"keras.callbacks.Callback; a schedule such as schedules.{name} belongs in "
            "the optimizer, as its `learning_rate`, or use callbacks.OneCycle, which "
            f"puts schedules there. Received: callbacks with a schedules.{name}."
        )
