import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_trainkit._checks import check_number, check_seed
from keras_trainkit.data._texts import text_list

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def synonym_replacement(
    texts: Iterable[str],
    lexicon: Mapping[str, Sequence[str]],
    share: float = 0.1,
    *,
    seed: int | None = 0,
) -> list[str]:
    """Copies of texts with some words replaced by others of the same meaning.

    Each word that the lexicon holds is replaced with the probability `share`, by one of
    its synonyms, each alike likely. Small and capital letters go with the word; what
    lies between the words stays as it is. For training texts alone; each call with
    another seed gives other copies.

    Args:
        texts: List, array or Series of strings.
        lexicon: Dict of words, in small letters, to lists of one or more synonyms, of
            one word or several.
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
    known = _checked(lexicon)
    random = np.random.default_rng(seed)

    def replaced(match: re.Match) -> str:
        word = match[0]
        synonyms = known.get(word.lower())
        if synonyms is None or random.random() >= share:
            return word
        return _with_case_of(word, synonyms[random.integers(len(synonyms))])

    return [_WORD.sub(replaced, text) for text in text_list(texts)]


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
    return {word.lower(): list(synonyms) for word, synonyms in lexicon.items()}


def _with_case_of(word: str, synonym: str) -> str:
    if len(word) > 1 and word.isupper():
        return synonym.upper()
    return synonym[0].upper() + synonym[1:] if word[0].isupper() else synonym
