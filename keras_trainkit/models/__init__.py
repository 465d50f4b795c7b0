"""Functions that return an uncompiled `keras.Model`."""

__all__: list[str] = []
