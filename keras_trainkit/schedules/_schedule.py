import keras


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A number as a function of the step, which says so when taken for a callback."""

    def set_model(self, model):
        self._refuse_as_callback()

    @property
    def on_batch_end(self):
        """Keras on TensorFlow and JAX looks at this hook before it sets the model."""
        self._refuse_as_callback()

    def _refuse_as_callback(self):
        name = type(self).__name__
        raise ValueError(
            "`callbacks` watch and drive a running `fit` and must be instances of "
            f"keras.callbacks.Callback; a schedule such as schedules.{name} belongs in "
            "the optimizer, as its `learning_rate`, or use callbacks.OneCycle, which "
            f"puts schedules there. Received: callbacks with a schedules.{name}."
        )
