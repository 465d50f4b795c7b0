"""Warning about a mask that a layer in between did not pass on."""

from typing import Any

from keras_trainkit._warnings import warn_user


def warn_of_lost_mask(layer: Any, sequence: Any, mask: Any) -> None:
    """UserWarning if an earlier tensor had a mask, but `sequence` has none.

    Looks back through functional models alone, and only at tensors with the same number
    of steps: a layer that pools or cuts the steps is right to end their mask.

    Args:
        layer: Layer that reads the sequence.
        mask: Mask of the sequence, or None.
    """
    if mask is not None:
        return
    found = _last_masked(sequence)
    if found is not None:
        warn_user(
            f"{layer.name} reads every step as valid, padding too: the steps after "
            f"{_made_by(found)!r} were masked, but {_made_by(sequence)!r} hands on no "
            "mask. Use layers that hand it on, such as "
            "`keras_trainkit.layers.VariationalLSTM` in place of Keras' recurrent "
            "layers and their wrappers (Keras 3.16 and later), or call the layer with "
            "`mask=`.",
        )


def _last_masked(sequence: Any) -> Any:
    """The nearest tensor with a mask before `sequence`, or None."""
    steps, seen, waiting = sequence.shape[1], set(), [sequence]
    while waiting:
        tensor = waiting.pop(0)
        if getattr(tensor, "_keras_mask", None) is not None:
            return tensor
        for source in _sources(tensor):
            fits = len(source.shape) > 2 and source.shape[1] == steps
            if fits and id(source) not in seen:
                seen.add(id(source))
                waiting.append(source)
    return None


def _sources(tensor: Any) -> list:
    """Tensors that `tensor` was computed from."""
    history = getattr(tensor, "_keras_history", None)
    nodes = getattr(getattr(history, "operation", None), "_inbound_nodes", ())
    if history is None or history.node_index >= len(nodes):
        return []
    return nodes[history.node_index].input_tensors


def _made_by(tensor: Any) -> str:
    """Name of the layer that gave `tensor`."""
    operation = getattr(getattr(tensor, "_keras_history", None), "operation", None)
    return getattr(operation, "name", "a layer")
