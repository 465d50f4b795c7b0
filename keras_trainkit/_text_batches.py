"""Texts, a few at a time: an array of their words is as wide as the longest."""

from collections.abc import Iterable, Iterator

MOST_TEXTS = 1024
MOST_CHARACTERS = 2**21  # of as many texts as long as the longest


def text_batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """All texts in their order, in batches that are small or a single text."""
    batch: list[str] = []
    longest = 0
    for text in texts:
        longest = max(longest, len(text))
        is_large = (len(batch) + 1) * longest > MOST_CHARACTERS
        if batch and (is_large or len(batch) == MOST_TEXTS):
            yield batch
            batch, longest = [], len(text)
        batch.append(text)
    if batch:
        yield batch
