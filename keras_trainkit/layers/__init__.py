"""Tensors in, tensors out, weights or adapted state inside."""

__all__: list[str] = []
