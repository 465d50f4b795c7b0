"""Synonyms, sentences in another order, translations and back."""

import re

import numpy as np
import pytest

from keras_trainkit.data import (
    back_translation,
    shuffle_sentences,
    synonym_replacement,
)

LEXICON = {"good": ["fine", "very nice"], "film": ["movie"], "don't": ["never"]}


def test_words_are_replaced_with_their_case_and_nothing_else_is():
    texts = ['A "Good" film, GOOD\tfilms;', "don't: go\u00f6d!", ""]
    found = synonym_replacement(texts, {**LEXICON, "good": ["fine"]}, 1.0)
    assert found == ['A "Fine" movie, FINE\tfilms;', "never: go\u00f6d!", ""]
    assert synonym_replacement(texts, LEXICON, 0.0) == texts


def test_so_many_words_are_replaced_and_each_synonym_is_as_likely():
    (text,) = synonym_replacement(["good " * 4000], LEXICON, 0.25, seed=3)
    fine, nice = text.count("fine"), text.count("very nice")
    assert 900 < fine + nice < 1100 and 400 < fine < 600
    again = synonym_replacement(["good " * 4000], LEXICON, 0.25, seed=3)
    assert again == [text]
    assert synonym_replacement(["good " * 4000], LEXICON, 0.25, seed=4) != [text]


def test_sentences_come_in_another_order_and_none_is_lost():
    text = ' One is here. "Is two?" (Three!) Four … Five'
    seen = {shuffle_sentences([text], seed=seed)[0] for seed in range(40)}
    parts = ["One is here.", '"Is two?"', "(Three!)", "Four …", "Five"]
    for found in seen:
        assert sorted(found.replace(" ", "")) == sorted("".join(parts).replace(" ", ""))
        assert all(part in found for part in parts)
    assert len(seen) > 30


def test_a_text_of_one_sentence_stays_as_it_is():
    texts = [" only 3.5 of  them ", "", "Yes!"]
    assert shuffle_sentences(np.array(texts), seed=1) == texts


def test_translations_go_there_and_back_in_batches():
    sizes = []

    def there(texts):
        sizes.append(len(texts))
        return (text.upper() for text in texts)

    def back(texts):
        return ["" if "NOT" in text else text.lower() + "?" for text in texts]

    texts = ["One", "Not This", "Three"]
    found = back_translation(texts, there, back, batch_size=2)
    assert found == ["one?", "Not This", "three?"] and sizes == [2, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: synonym_replacement("a text", {}), "`texts` are the training texts"),
        (lambda: shuffle_sentences(["a", 7]), "Received: int 7 at position 1"),
        (lambda: shuffle_sentences(7), "must be a list of strings. Received: 7"),
        (lambda: synonym_replacement([], []), "`lexicon` holds words of the same"),
        (lambda: synonym_replacement([], {"a": "b"}), "Received: 'a': 'b'"),
        (lambda: synonym_replacement([], {"a": []}), "Received: 'a': []"),
        (lambda: synonym_replacement([], {}, 1.5), "`share` is the share of words"),
        (lambda: shuffle_sentences([], seed=-1), "`seed` makes the random numbers"),
        (lambda: back_translation([], 7, len), "`translate` translates and must be a"),
        (
            lambda: back_translation(["a"], lambda texts: texts * 2, list),
            "`translate` translates and must return a string for each of the 1 texts",
        ),
        (
            lambda: back_translation(["a"], list, lambda texts: "a"),
            "`translate_back` translates and must return a string for each of the 1",
        ),
        (
            lambda: back_translation([], list, list, batch_size=0),
            "`batch_size` is the number of texts at once and must be",
        ),
    ],
)
def test_what_is_no_text_is_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
