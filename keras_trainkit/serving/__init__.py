"""A fitted model to a checked SavedModel. Needs TensorFlow."""

__all__: list[str] = []
