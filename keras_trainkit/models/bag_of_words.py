import math
from collections.abc import Sequence

import keras

from keras_trainkit.layers import Bigrams, EmbeddingBag, SequenceTruncation
from keras_trainkit.models._arguments import check_model_name
from keras_trainkit.models._heads import check_head, headed_model, prediction_shape
from keras_trainkit.models._sequence_input import check_sequence_input


def bag_of_words(
    input_shape: Sequence[int | None],
    outputs: int | Sequence[int],
    bigrams: keras.layers.Layer,
    *,
    max_length: int = 500,
    keep: str = "end",
    task: str | None = None,
    classes: Sequence | None = None,
    name: str = "bag_of_words",
) -> keras.Model:
    """Builds an uncompiled linear model of the words, and pairs of words, in a text.

    It knows rare phrases from few texts, where a recurrent network learns what words
    mean; the mean of both (`ensemble`) is better than either. It is trained by `fit`,
    or in closed form by logistic regression, as `estimators.TextClassifier` does.

    | step    | layers                                                              |
    | ------- | ------------------------------------------------------------------- |
    | tokens  | `layers.SequenceTruncation`, as in `bilstm_attention`               |
    | numbers | `bigrams`: of the different words and pairs of words                |
    | weights | `layers.EmbeddingBag`, "weights": sum of one vector each, with one  |
    |         | value per output                                                    |
    | head    | one `Dense`, as in `mlp`                                            |

    Args:
        input_shape: `(time,)` of token ids, 0 for padding; `time` may be None.
        outputs: Int >= 1, or the shape of one prediction, as in `bilstm_attention`.
        bigrams: Adapted `layers.Bigrams`.
        max_length: As in `bilstm_attention`, and so are the next ones.
        keep: Likewise.
        task: Likewise.
        classes: Likewise.
        name: String. Name of the model.

    Returns:
        A functional `models.TaskModel`; input "tokens", output layer "outputs".

    Raises:
        ValueError: An argument out of range.

    Example:

    ```python
    ids = np.array([[2, 3, 4], [2, 4, 0], [5, 3, 4]])
    bigrams = layers.Bigrams(vocabulary_size=6, num_bigrams=50)
    bigrams.adapt(ids)
    model = bag_of_words((None,), 1, bigrams, task="binary")
    model.compile(optimizers.AdamW(0.01), models.loss_for(model))
    model.fit(ids, np.array([1, 1, 0]), verbose=0)
    ```

    Source: Wang and Manning, 2012, Baselines and Bigrams, ACL P12-2018.
    """
    if not isinstance(bigrams, Bigrams):
        raise ValueError(
            "`bigrams` gives the numbers of the words of a text and must be a "
            f"`layers.Bigrams`. Received: bigrams={bigrams!r}."
        )
    check_sequence_input(input_shape, bigrams.vocabulary_size, 1, None, None)
    shape = prediction_shape(outputs, task)
    check_head(task, shape[-1], None, classes)
    check_model_name(name)
    tokens = keras.Input(tuple(input_shape), dtype="int32", name="tokens")
    truncation = SequenceTruncation(max_length, keep, name="truncation")
    numbers = bigrams(truncation(tokens, mask=keras.ops.not_equal(tokens, 0)))
    weights = EmbeddingBag(
        bigrams.vocabulary_size + bigrams.num_bigrams,
        math.prod(shape),
        embeddings_initializer="zeros",
        name="weights",
    )
    return headed_model(
        tokens,
        weights(numbers),
        shape,
        output_activation=None,
        task=task,
        members=1,
        target_scaling=None,
        classes=classes,
        name=name,
    )
