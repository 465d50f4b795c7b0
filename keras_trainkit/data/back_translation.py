import reprlib
from collections.abc import Callable, Iterable

from keras_trainkit._checks import check_count
from keras_trainkit.data._texts import as_list, text_list

Translate = Callable[[list[str]], Iterable[str]]


def back_translation(
    texts: Iterable[str],
    translate: Translate,
    translate_back: Translate,
    *,
    batch_size: int = 32,
) -> list[str]:
    """Copies of texts in other words: translated into a language and back again.

    The kit brings no translator. A text of which nothing comes back (empty, or spaces)
    stays as it is. For training texts alone.

    Args:
        texts: List, array or Series of strings.
        translate: Function of a list of strings that returns as many, in the other
            language, such as a pipeline of a translation model.
        translate_back: The same in the other direction.
        batch_size: Int >= 1. Texts that the functions get at once, at most.

    Returns:
        List of strings, as many as `texts`.

    Raises:
        ValueError: Something else than texts, before or after a translation, or another
            number of them.

    Example:

    >>> german = {"a good film": "ein guter Film"}
    >>> english = {"ein guter Film": "a fine movie"}
    >>> back_translation(
    ...     ["a good film"],
    ...     lambda texts: [german[text] for text in texts],
    ...     lambda texts: [english[text] for text in texts],
    ... )
    ['a fine movie']

    Source: Sennrich, Haddow and Birch, 2016, arXiv:1511.06709; for classes of texts Xie
    et al., 2020, arXiv:1904.12848.
    """
    check_count("batch_size", batch_size, "is the number of texts at once")
    for name, function in (
        ("translate", translate),
        ("translate_back", translate_back),
    ):
        if not callable(function):
            raise ValueError(
                f"`{name}` translates and must be a function of a list of texts. "
                f"Received: {name}={function!r}."
            )
    given, found = text_list(texts), []
    for start in range(0, len(given), batch_size):
        part = given[start : start + batch_size]
        there = _translated("translate", translate, part)
        back = _translated("translate_back", translate_back, there)
        found += [
            new if new.strip() else old for old, new in zip(part, back, strict=True)
        ]
    return found


def _translated(name: str, function: Translate, texts: list[str]) -> list[str]:
    given = function(list(texts))
    found = as_list(given)
    as_many = found is not None and len(found) == len(texts)
    if found is None or not as_many or not all(isinstance(text, str) for text in found):
        raise ValueError(
            f"`{name}` translates and must return a string for each of the "
            f"{len(texts)} texts. Received: {reprlib.repr(found or given)}."
        )
    return [str(text) for text in found]
