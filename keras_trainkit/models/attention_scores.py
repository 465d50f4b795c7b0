import keras

from keras_trainkit.layers import AttentionPooling


def attention_scores(model: keras.Model) -> keras.Model:
    """A model that returns the attention weights instead of the predictions.

    It shares its layers with `model`, so it needs no training of its own and follows
    when `model` is trained on.

    Args:
        model: Functional `keras.Model` with one `layers.AttentionPooling`, called
            with `return_attention_scores=True`, such as `models.bilstm_attention`
            gives, loaded from a file or not.

    Returns:
        A `keras.Model` with the inputs of `model`, whose output `(batch, time)` adds
        up to 1 over the valid steps of each row and is 0 at masked ones. `time` is
        that of the steps that attention sees: `max_length` where `model` cuts.

    Raises:
        ValueError: `model` is not functional, or has no such layer or several, or
            calls it without the scores.

    Example:

    ```python
    model = bilstm_attention((None, 9), 6, (32, 32))
    weights = attention_scores(model).predict(np.zeros((1, 50, 9)))  # (1, 50)
    ```
    """
    layers = getattr(model, "layers", ())
    found = [layer for layer in layers if isinstance(layer, AttentionPooling)]
    if len(found) != 1 or not getattr(model, "inputs", None):
        raise ValueError(
            "`model` is what attends and must be a functional model with one "
            f"`layers.AttentionPooling` among its layers. Received: model={model!r} "
            f"with {len(found)} of them."
        )
    # Keras 3.15 does not connect a second call that has more outputs than the first.
    if not isinstance(found[0].output, (list, tuple)):
        raise ValueError(
            "`model` is what attends and must call its attention layer with "
            "`return_attention_scores=True`. Received: "
            f"model={model!r}, whose layer {found[0].name!r} gives the output alone."
        )
    _, weights = found[0].output
    return keras.Model(model.input, weights, name="attention_scores")
