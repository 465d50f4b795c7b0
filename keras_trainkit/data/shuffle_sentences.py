import re
from collections.abc import Iterable

import numpy as np

from keras_trainkit._checks import check_seed
from keras_trainkit.data._texts import text_list

_BETWEEN = re.compile(r"(?<=[.!?…])[\"'”’)\]]*(\s+)")


def shuffle_sentences(texts: Iterable[str], *, seed: int | None = 0) -> list[str]:
    """Copies of texts with their sentences in another order.

    Sentences end in `.`, `!`, `?` or `…`, with closing quotes and brackets, before a
    space; an abbreviation counts as an end too. They are joined by single spaces. A
    text of one sentence stays as it is. For training texts alone, of which the order of
    the sentences does not tell the class.

    Args:
        texts: List, array or Series of strings.
        seed: Int >= 0; the same seed gives the same copies. None: a random one.

    Returns:
        List of strings, as many as `texts`.

    Raises:
        ValueError: Something else than texts, or a seed below 0.

    Example:

    >>> shuffle_sentences(["Slow. But good!"], seed=3)
    ['But good! Slow.']
    """
    check_seed("seed", seed)
    random = np.random.default_rng(seed)
    found = []
    for text in text_list(texts):
        sentences = _sentences(text)
        if len(sentences) > 1:
            order = random.permutation(len(sentences))
            text = " ".join(sentences[number] for number in order)
        found.append(text)
    return found


def _sentences(text: str) -> list[str]:
    ends = [match.span(1) for match in _BETWEEN.finditer(text.strip())]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), None]
    return [text.strip()[a:b] for a, b in zip(starts, stops, strict=True)]
