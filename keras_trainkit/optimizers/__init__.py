"""Keras optimizers whose momentum and weight decay may be schedules."""

__all__: list[str] = []
