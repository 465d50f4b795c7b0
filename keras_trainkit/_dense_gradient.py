"""Gradients of embedding tables, as optimizers that square them need them."""

from keras import ops

from keras_trainkit._types import Tensor


def dense_gradient(gradient: Tensor | None) -> Tensor | None:
    """The gradient as one tensor; None stays None.

    An embedding table's may come as rows (`tf.IndexedSlices`) or as entries (JAX's
    BCOO, torch's sparse layouts), one for each use in the batch. Their sum is the
    gradient, so they are summed before anything is clipped or squared; Keras 3.15
    clips and squares the parts.
    """
    if gradient is None:
        return None
    if hasattr(gradient, "to_dense"):  # any tensor of torch
        return gradient.to_dense()
    gradient = ops.convert_to_tensor(gradient, sparse=False)
    if hasattr(gradient, "dense_shape"):
        gradient = ops.add(gradient, 0.0)
    return gradient
