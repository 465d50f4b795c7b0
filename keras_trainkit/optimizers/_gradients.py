"""The form in which an update rule wants its gradient."""

from keras import ops


def dense(gradient, dtype):
    """The gradient as one tensor of `dtype`.

    TensorFlow gives that of an embedding table as rows (`tf.IndexedSlices`), a row
    once per use in the batch. Their sum is the gradient, so they are summed before
    anything is squared; Keras 3.15 sums the squares instead.
    """
    if hasattr(gradient, "dense_shape"):
        gradient = ops.add(gradient, 0.0)
    return ops.cast(gradient, dtype)
