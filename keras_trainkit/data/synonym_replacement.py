import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_trainkit._checks import check_number, check_seed
from keras_trainkit.data._texts import text_list


def synonym_replacement(
    texts: Iterable[str],
    lexicon: Mapping[str, Sequence[str]],
    share: float = 0.1,
    *,
    seed: int | None = 0,
) -> list[str]:
    """Copies of texts with some words replaced by others of the same meaning.

    Each word that the lexicon holds is replaced with the probability `share`, by one of
    its synonyms, each alike likely. A word is made of letters with their accents and of
    digits, and may have apostrophes and hyphens within. Small and capital letters go
    with the word, unless it is a single letter; what lies between the words stays as it
    is. For training texts alone; each call with another seed gives other copies.

    Args:
        texts: List, array or Series of strings.
        lexicon: Dict of single words to lists of one or more synonyms, of one word or
            several.
        share: Float in [0, 1].
        seed: Int >= 0; the same seed gives the same copies. None: a random one.

    Returns:
        List of strings, as many as `texts`.

    Raises:
        ValueError: Something else than texts, a lexicon of another form, or an argument
            outside its range.

    Example:

    >>> synonym_replacement(["A good film!"], {"good": ["fine"]}, share=1.0)
    ['A fine film!']

    Source: Wei and Zou, 2019, arXiv:1901.11196, who replace a fixed number of words of
    each text by those of WordNet; which words mean the same is here up to the caller.
    """
    check_number("share", share, "is the share of words", at_least=0, at_most=1)
    check_seed("seed", seed)
    known, pattern = _checked(lexicon), _word_pattern()
    random = np.random.default_rng(seed)

    def replaced(match: re.Match) -> str:
        word = match[0]
        synonyms = known.get(_same_for_all_cases(word))
        if synonyms is None or random.random() >= share:
            return word
        return _with_case_of(word, synonyms[random.integers(len(synonyms))])

    return [pattern.sub(replaced, text) for text in text_list(texts)]


def _checked(lexicon: Any) -> dict[str, list[str]]:
    purpose = "`lexicon` holds words of the same meaning and must be a dict of words"
    if not isinstance(lexicon, Mapping):
        raise ValueError(f"{purpose} to lists. Received: {type(lexicon).__name__}.")
    for word, synonyms in lexicon.items():
        fits = isinstance(word, str) and not isinstance(synonyms, str)
        fits = fits and isinstance(synonyms, Sequence) and len(synonyms) > 0
        if not fits or not all(isinstance(one, str) and one for one in synonyms):
            raise ValueError(
                f"{purpose} to lists of one or more words. "
                f"Received: {word!r}: {synonyms!r}."
            )
        if not _word_pattern().fullmatch(word):
            raise ValueError(
                f"{purpose}, one each, of letters and digits with apostrophes and "
                f"hyphens within; no other is ever found. Received: {word!r}."
            )
    return {_same_for_all_cases(word): list(found) for word, found in lexicon.items()}


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    """Letters, digits, and the marks that belong to the letter before.

    `re` counts no mark as a part of a word: accents that stand by themselves, vowels of
    Indian scripts, joiners.
    """
    planes = (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))
    marks = [chr(code) for code in planes if unicodedata.category(chr(code))[0] == "M"]
    letter = r"[^\W_]"
    part = f"{letter}(?:{letter}|[{''.join(marks)}\u200c\u200d])*"
    return re.compile(f"{part}(?:['’-]{part})*")


def _same_for_all_cases(word: str) -> str:
    return unicodedata.normalize("NFC", word).lower()


def _with_case_of(word: str, synonym: str) -> str:
    word = unicodedata.normalize("NFC", word)
    if len(word) == 1:  # "I", "A": a capital that says nothing of the others
        return synonym
    if word.isupper():
        return synonym.upper()
    return synonym[0].upper() + synonym[1:] if word[0].isupper() else synonym
