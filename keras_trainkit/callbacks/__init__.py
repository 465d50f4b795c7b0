"""Watchers and drivers of a running `fit`."""

__all__: list[str] = []
