"""Synonyms, sentences in another order, translations and back."""

import re

import numpy as np
import pandas as pd
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


@pytest.mark.parametrize(
    ("text", "lexicon", "expected"),
    [
        ("cafe\u0301", {"cafe": ["bar"]}, "cafe\u0301"),  # an accent by itself
        ("Cafe\u0301 CAFE\u0301", {"caf\u00e9": ["bar"]}, "Bar BAR"),
        ("caf\u00e9", {"cafe\u0301": ["bar"]}, "bar"),
        (
            "\u0915\u093f \u0915",
            {"\u0915": ["a"]},
            "\u0915\u093f a",
        ),  # a vowel of Hindi
        ("mi\u200cra mi", {"mi": ["a"]}, "mi\u200cra a"),  # a joiner of Persian
        ("B2B b2c 4", {"b2b": ["trade"], "b": ["x"], "4": ["four"]}, "TRADE b2c four"),
        ("Then I go", {"i": ["me"]}, "Then me go"),
        ("E\u0301 \u00c9", {"\u00e9": ["and"]}, "and and"),
        ("No, well-known.", {"well-known": ["famous"], "well": ["x"]}, "No, famous."),
    ],
)
def test_a_word_is_whole_with_its_accents_and_digits(text, lexicon, expected):
    assert synonym_replacement([text], lexicon, 1.0) == [expected]


@pytest.mark.parametrize("word", ["new york", "", " a", "a_b", "rock-", "!", "\u0301"])
def test_a_key_that_no_text_can_hold_as_a_word_is_refused(word):
    with pytest.raises(
        ValueError, match="words, one each, of .*no other is ever found"
    ):
        synonym_replacement(["a"], {word: ["b"]})


TABLE = pd.DataFrame({"text": ["A. B. C."], "other": ["D. E."]})


@pytest.mark.parametrize(
    "texts",
    [
        TABLE,
        TABLE[["text"]],
        TABLE.to_numpy(),
        {"text": ["A. B."]},
        {"A. B."},
        [["A. B."], ["C. D."]],
        np.array("A. B."),
        TABLE.to_dict("list"),
    ],
    ids=range(8),
)
@pytest.mark.parametrize(
    "function",
    [
        shuffle_sentences,
        lambda texts: synonym_replacement(texts, LEXICON),
        lambda texts: back_translation(texts, list, list),
    ],
    ids=["sentences", "synonyms", "translation"],
)
def test_what_can_be_iterated_over_and_is_no_list_is_refused(function, texts):
    with pytest.raises(ValueError, match=r"must be a list of strings\. Received: "):
        function(texts)


def test_texts_may_stand_in_anything_of_one_axis():
    expected = ["a", "b"]
    given = [("a", "b"), np.array(expected), TABLE["text"].iloc[:0], iter(expected)]
    given += [pd.Series(expected), pd.Index(expected), pd.array(expected, "string")]
    for name in ("polars", "pyarrow"):
        module = pytest.importorskip(name)
        given.append(getattr(module, "Series", None) or module.array)
        given[-1] = given[-1](expected)
    found = [shuffle_sentences(texts) for texts in given]
    assert found == [expected, expected, [], *[expected] * 6]
    assert {type(text) for texts in found for text in texts} == {str}


@pytest.mark.parametrize(
    "came", [None, 7, {"a": "b"}, {"b"}, pd.DataFrame({"a": ["b"]}), [{"text": "b"}]]
)
def test_what_a_translator_returns_must_be_as_many_texts(came):
    with pytest.raises(
        ValueError, match="`translate` translates and must return a str"
    ):
        back_translation(["a"], lambda texts: came, list)
    with pytest.raises(ValueError, match="`translate_back` translates and must return"):
        back_translation(["a"], list, lambda texts: came)


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
