import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import keras
import numpy as np
from sklearn.utils import Tags

from keras_trainkit._checks import check_choice, check_count
from keras_trainkit._types import Layer, Model
from keras_trainkit.estimators._arguments import check_sequence_arguments
from keras_trainkit.estimators._classifier import Classifier
from keras_trainkit.estimators._estimator import (
    Data,
    Estimator,
    Plan,
    Recipe,
    Splits,
    trained_rows,
)
from keras_trainkit.estimators._mixture import mean_with
from keras_trainkit.estimators._padding import steps_of
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._read_length import check_read_length, tell_unread
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._sequence_recipe import (
    chosen_for_texts,
    like_lengths,
    vector_epochs,
)
from keras_trainkit.estimators._text_network import as_read, networks_of
from keras_trainkit.estimators._texts import (
    PURPOSE,
    Texts,
    fields_of,
    padded_words,
    read_texts,
    vectorization_of,
    word_numbers,
    words_of,
)
from keras_trainkit.estimators._training import (
    Goal,
    Trained,
    train,
    trained_networks,
)
from keras_trainkit.estimators._word_part import fitted_words
from keras_trainkit.layers import Bigrams

_SPLITS = ("whitespace", "character")


class TextClassifier(Classifier, Estimator):
    """Classifies texts, by what words mean and by which words and pairs they have.

    A scikit-learn estimator around the mean of two models:

    | model                                   | trained                                |
    | --------------------------------------- | -------------------------------------- |
    | `models.bilstm_attention`, from vectors | by `optimizers.AdamW` and              |
    | of words that it learns first           | `callbacks.CooldownOnPlateau`          |
    | `models.bag_of_words`, linear in words  | by logistic regression, of what each   |
    | and pairs of words                      | tells by itself, in seconds            |

    Nothing is hidden: the same parts in a script, with the values of `recipe_`, give
    the same weights, bit for bit those of the network. Words are in lower case, without
    punctuation, as far as ASCII has it: "Ä" and "Д" stay as they are, unless
    `str.lower` is called on the texts before. Words that are rare, or unseen, are one
    word. A text without a word is allowed.

    Rows kept for validation choose the best epoch, correct the probabilities
    (`layers.TemperatureScaling`) and size the sets of `predict_set`; for these two they
    are told by what was fitted without them. Then the linear model is fitted to them
    too. With `folds` all rows do this: each is left out by one of several networks, and
    of several linear models.

    Args:
        preset: "default", or "fast": one smaller network, for fewer epochs.
        max_tokens: Int >= 3. Words that are told apart, with one for padding and one
            for all others. None, here and below: by the recipe, see `recipe_`.
        split: "whitespace", or "character", for languages without spaces.
        embedding_units: Int >= 1. Numbers per word, or None.
        vector_epochs: Int >= 0. Passes over the training texts in which vectors of
            words are learned, before the labels are read, that training then begins
            with (`data.word_vectors`); 0: it begins with random ones. Or None.
        units: Tuple of ints >= 1. Units per direction of each recurrent layer, or None.
        max_length: Int >= 1. Words that are read of a longer text. None: 250 by the
            network, 1,000 by the linear model.
        keep: "end" or "start" of a longer text is read. Or None.
        dropout: Float in [0, 1), or None.
        recurrent_dropout: Float in [0, 1). Share of the states dropped on their way
            into the gates, or None.
        num_bigrams: Int >= 0. Pairs of words that the linear model knows, the most
            frequent ones; 0: there is no linear model. None: by the recipe, 0 where a
            `loss` is given.
        linear_weight: Float in [0, 1]. Share of the linear model in the mean; 0 for
            the network alone, 1 for the linear model alone: then no network is
            trained. Or None.
        epochs: Int >= 1, the most. Or None.
        batch_size: Int >= 1. Rows per step, or None.
        learning_rate: Float > 0. The rate that is held until the validation loss gets
            no better, and then falls. None: by the recipe, or the `optimizer`'s own.
        weight_decay: Float >= 0. Of the recipe's optimizer, or None.
        label_smoothing: Float in [0, 1). Share of a label given to all classes alike,
            or None.
        class_weight: None, "balanced", so that every class counts as much as the
            others, or a dict of classes to weights of at least 0, 1 for those that it
            leaves out. Counts in training and in the choice of the best epoch.
        validation: Float in (0, 1), share of the rows, int >= 1, number of rows, or
            row numbers, kept from training. The rows are drawn class by class, see also
            `fit`. None: 0.2, or folds.
        folds: Int >= 2. Networks that leave out another part of the rows each, so that
            all rows are trained on; `model_` is their `models.ensemble`. None: one
            network.
        optimizer: Optimizer of Keras or its name, in place of the recipe's.
        loss: Loss of Keras or its name, in place of the recipe's. Labels are 0 and 1
            for two classes, one-hot for more; the model gives logits.
        metrics: List of metrics of Keras, in place of accuracy; the first chooses the
            best epoch and has to know which way it gets better (no function).
        keras_callbacks: List of callbacks of Keras, beside those of the recipe. With
            folds each sees one `fit` after the other.
        random_state: Int >= 0, for a training that can be repeated; a NumPy
            `RandomState`; or None.
        verbose: As in Keras' `fit`.

    Attributes, after `fit` or `load`:
        classes_: `(classes,)`. The classes, sorted, of the type of `y`.
        model_: `keras.Model` from numbers of words `(rows, time)`, 0 behind them, to
            logits.
        vectorization_: `keras.layers.TextVectorization`, from texts to these numbers.
        calibrated_model_: The same with corrected probabilities, which predicts.
        temperature_: Float, by which logits are divided; at most 1 with folds. Near
            1 where the validation rows are few.
        history_: Dict of name to one value per epoch of the network; empty without
            one. With folds one training after the other, its number as "fold".
        recipe_: Dict of name to `{"value": ..., "reason": ...}`: what was chosen.
        conformity_scores_: `(validation rows,)`. 1 less the probability of the truth,
            from small to large; with folds one fold after the other.

    Example:

    ```python
    texts = ["so good", "good film", "what a bad film", "bad, bad"] * 9
    y = ["pro", "pro", "con", "con"] * 9
    classifier = TextClassifier(units=(8,), epochs=3, validation=0.2, random_state=0)
    classifier.fit(texts, y)
    classifier.predict(["good, so good"])  # (1,) of "pro" and "con"
    classifier.predict_proba(["good, so good"])  # (1, 2), columns as in classes_
    classifier.save("opinions")
    same = TextClassifier.load("opinions")
    ```

    Source: the recipe is that of docs/figures/sequences.md; the network after Zhou et
    al., 2016, P16-2034; the vectors after Mikolov et al., 2013, arXiv:1310.4546; the
    linear model after Wang and Manning, 2012, P12-2018.
    """

    _few_rows = 0
    _steps_at_once = 1

    _later_numbers: ClassVar[dict[str, Any]] = {
        "min_epoch_steps": 1,
        "num_lengths": 1,
        "vector_epochs": 0,
        "num_bigrams": 0,
        "linear_weight": 0.0,
        "linear_length": 0,
    }

    def __init__(
        self,
        *,
        preset: str = "default",
        max_tokens: int | None = None,
        split: str = "whitespace",
        embedding_units: int | None = None,
        vector_epochs: int | None = None,
        units: Sequence[int] | None = None,
        max_length: int | None = None,
        keep: str | None = None,
        dropout: float | None = None,
        recurrent_dropout: float | None = None,
        num_bigrams: int | None = None,
        linear_weight: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        label_smoothing: float | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        validation: float | Sequence[int] | None = None,
        folds: int | None = None,
        optimizer: str | keras.optimizers.Optimizer | None = None,
        loss: str | keras.losses.Loss | None = None,
        metrics: Sequence | None = None,
        keras_callbacks: Sequence[keras.callbacks.Callback] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | str = 0,
    ):
        self.preset = preset
        self.max_tokens = max_tokens
        self.split = split
        self.embedding_units = embedding_units
        self.vector_epochs = vector_epochs
        self.units = units
        self.max_length = max_length
        self.keep = keep
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.num_bigrams = num_bigrams
        self.linear_weight = linear_weight
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.validation = validation
        self.folds = folds
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = metrics
        self.keras_callbacks = keras_callbacks
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Any,  # noqa: N803 (scikit-learn's name, here and below)
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
        order: Any = None,
        resume: str | os.PathLike | None = None,
    ) -> Self:
        """Trains on texts, afresh at every call.

        Args:
            X: List, array, Series or DataFrame of one column, of texts; none missing.
            y: Class of each row, `(rows,)`, none missing.
            sample_weight: `(rows,)`, at least 0. How much a row counts in training and
                in the choice of the best epoch. Rows of weight 0 are left out.
            groups: `(rows,)`. Rows of a group are all trained on, or all validated; all
                in one fold.
            order: Times of the rows `(rows,)`, or "rows": the last are validated, and
                there are no folds.
            resume: Folder in which the training is kept, new or empty at first: after
                a kill the same call goes on from there, and ends with the same bits.
                See docs/resume.md. None: nothing is kept.

        Returns:
            The estimator itself.

        Raises:
            ValueError: For an argument, here or in the constructor, out of range;
                `resume` holds a fit of other data or arguments, or one that another
                process is at.
        """
        return self._fit(X, y, sample_weight, groups, order, resume)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "vectorization_" in state:
            fields = fields_of(state["vectorization_"])
            state = {**state, "vectorization_": fields}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        fields = state.get("vectorization_")
        if isinstance(fields, dict):
            state = {**state, "vectorization_": vectorization_of(**fields)}
        super().__setstate__(state)

    def _check_arguments(self) -> None:
        check_sequence_arguments(self.get_params(deep=False))
        if self.max_tokens is not None:
            purpose = "is the number of words that are told apart, with two for others,"
            check_count("max_tokens", self.max_tokens, purpose, at_least=3)
        check_choice("split", self.split, "says what is a word", _SPLITS)

    def _read(self, X: Any) -> Texts:  # noqa: N803
        return read_texts(X)

    def _plan(
        self, source: Texts, splits: Splits, goal: Goal, folds: int | None
    ) -> Plan:
        training = source.values[trained_rows(splits)].tolist()
        outputs = 1 if goal.task == "binary" else len(goal.classes or ())
        recipe = chosen_for_texts(
            len(splits[0][0]), outputs, self.preset, self._given()
        )
        values = {name: entry["value"] for name, entry in recipe.items()}
        vectorization = vectorization_of(self.split, values["max_tokens"])
        vectorization.adapt(training)
        if not words_of(vectorization):
            raise ValueError(
                f"{PURPOSE} and must have a word in the training rows. Received: "
                f"{len(training)} texts without one, such as {training[0]!r}."
            )
        used = np.union1d(*splits[0])
        words = word_numbers(vectorization, source.values[used], **_most_read(recipe))
        if self.max_length is None:
            tell_unread(words.lengths, recipe, "texts", "words")
        ids = padded_words(words.numbers)
        trained = ids[np.searchsorted(used, splits[0][0])]
        trained_lengths = np.minimum(steps_of(trained), values["max_length"])
        recipe |= like_lengths(trained_lengths)
        recipe |= vector_epochs(trained_lengths, self.preset, self._given())
        return Plan(
            recipe,
            lambda rows: ids[np.searchsorted(used, rows)],
            networks_of(goal, vectorization.vocabulary_size()),
            {"vectorization_": vectorization},
        )

    def _train(
        self,
        plan: Plan,
        seen: Rows,
        parts: Sequence[Part],
        goal: Goal,
        seed: int,
        data: Data,
        folder: pathlib.Path | None,
    ) -> tuple[Trained, Recipe]:
        recipe = plan.recipe
        values = {name: entry["value"] for name, entry in recipe.items()}
        # The linear model may read more of a text than the network.
        read = [Part(*(as_read(rows, values) for rows in part)) for part in parts]
        build = functools.partial(plan.network, as_read(seen, values))
        if not values["num_bigrams"] or not values["linear_weight"]:
            return train(recipe, build, read, goal, seed, folder), recipe
        vocabulary_size = plan.attributes["vectorization_"].vocabulary_size()
        linear, outputs = fitted_words(parts, vocabulary_size, goal, values)
        pairs = linear[0].get_layer("bigrams").num_bigrams
        if pairs < values["num_bigrams"]:
            every = choice(pairs, "all pairs that the texts have")
            recipe = recipe | {"num_bigrams": every}
        networks = []
        if values["linear_weight"] < 1:
            trained = trained_networks(values, build, read, goal, seed, folder)
            networks = list(trained)
        weight = values["linear_weight"]
        return mean_with(
            networks, linear, outputs, weight, parts[0], goal, values
        ), recipe

    def _encoded(self, X: Any) -> np.ndarray:  # noqa: N803
        texts = read_texts(X).values
        words = word_numbers(self.vectorization_, texts, **_most_read(self.recipe_))
        return padded_words(words.numbers)

    def _served_rows(self, examples: Any) -> np.ndarray:
        if examples is None:
            examples = [" ".join(words_of(self.vectorization_)[:3])]
        return read_texts(examples).values

    def _preprocessing(self) -> Layer:
        return self.vectorization_

    def _input_fields(self) -> dict[str, Any]:
        return fields_of(self.vectorization_)

    @classmethod
    def _restored_input(
        cls,
        fields: dict[str, Any],
        recipe: dict[str, Any],
        model: Model,
        *layers: Layer,
    ) -> dict[str, Any]:
        words, split = fields["words"], fields["split"]
        check_choice("split", split, "says what is a word", _SPLITS)
        if not isinstance(words, list) or not all(
            isinstance(word, str) and word for word in words
        ):
            raise ValueError("words that are no texts")
        size = len(words) + 2  # with padding, and any other word
        found = _vocabulary_sizes(model)
        if not found or found - {size, min(size, Bigrams.max_vocabulary_size)}:
            raise ValueError(f"{len(words)} words, and no model of as many")
        check_read_length(recipe)
        return {"vectorization_": {"split": split, "words": words}}


def _most_read(recipe: Recipe) -> dict[str, Any]:
    """Words of a text that the longer reader of both reads, and from which end."""
    lengths = [recipe[name]["value"] for name in ("max_length", "linear_length")]
    return {"max_length": max(lengths), "keep": recipe["keep"]["value"]}


def _vocabulary_sizes(model: Any) -> set[int]:
    """Of all embeddings in a model of one input of token ids, or none."""
    if getattr(getattr(model, "input", None), "shape", None) != (None, None):
        return set()
    found = set()
    for layer in model.layers:
        if isinstance(layer, Bigrams):
            found.add(layer.vocabulary_size)
        elif type(layer) is keras.layers.Embedding:
            found.add(layer.input_dim)
        elif isinstance(layer, keras.Model):
            found |= _vocabulary_sizes(layer)
    return found
