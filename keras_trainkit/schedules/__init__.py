"""Numbers as functions of the optimizer step: learning rate, momentum, weight decay."""

__all__: list[str] = []
