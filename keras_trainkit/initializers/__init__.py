"""Starting values of weights, from a shape or from one batch."""

__all__: list[str] = []
