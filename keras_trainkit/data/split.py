from typing import Any, NamedTuple

import numpy as np

from keras_trainkit._checks import check_count, check_number, check_seed
from keras_trainkit._row_labels import check_row_orders
from keras_trainkit.data._rows import refuse_empty, row_count
from keras_trainkit.data._splitters import split_at_random, split_by_time


class Split(NamedTuple):
    """Row numbers of three parts that have no row in common.

    Attributes:
        train: `(rows,)` ints.
        validation: The same; empty if no such part was asked for.
        test: The same.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(
    data: Any,
    *,
    validation: float | None = 0.16,
    test: float | None = 0.2,
    stratify: Any = None,
    groups: Any = None,
    order: Any = None,
    gap: int = 0,
    seed: int | None = 0,
) -> Split:
    """Rows for training, validation and test, the test part kept apart.

    The test part is drawn first, so another size of the validation part leaves it as
    it was, and so does another run: the seed is fixed. Learn everything (scaling,
    vocabularies, selected features) from `train`, choose by `validation`, and look at
    `test` once.

    | given      | the parts                                                          |
    | ---------- | ------------------------------------------------------------------ |
    | nothing    | random rows                                                        |
    | `stratify` | each class has its share of each part, up to two rows              |
    | `groups`   | random whole groups; sizes as near as greedy drawing of them comes |
    | both       | whole groups that bring the classes nearest to their shares        |
    | `order`    | the last rows are the test part, those before them validation      |

    Args:
        data: What is split: an array, a tensor, a DataFrame, a dict or tuple of them
            (all with as many rows), or the number of rows. Its values are not read.
        validation: Float in (0, 1), share of all rows, or int >= 1, number of rows.
            None: no such part, as for k-fold.
        test: Likewise.
        stratify: Class of each row, `(rows,)`, `(rows, 1)` or one-hot; each class with
            at least a row for every part. None for regression.
        groups: What must stay together, `(rows,)`: the patient, the machine, the text
            from which a row was cut.
        order: Times of the rows, `(rows,)`, numbers, dates or anything that sorts as
            the times follow each other (ordered categories of pandas: as these); or
            `"rows"` if they are in order already. Rows of the same time stay in one
            part. Excludes `stratify` and `groups`.
        gap: Int >= 0. With `order`: rows left out before validation and before test,
            so that windows of `gap + 1` rows do not reach into the next part.
        seed: Int >= 0, or None for another split at every call.

    Returns:
        `Split(train, validation, test)`: row numbers, ascending, with `order` in the
        order of time. Together they are all rows, but for the gaps.

    Raises:
        ValueError: An empty part, a class or groups too few for the parts, lengths
            that differ, missing labels, texts of numbers or dates that sort otherwise
            than these, arguments that exclude each other.

    Example:

    ```python
    parts = keras_trainkit.data.split(x, stratify=y)
    x_train, y_train = x[parts.train], y[parts.train]
    table_train = table.iloc[parts.train]  # pandas
    inputs_train = {name: column[parts.train] for name, column in inputs.items()}
    ```

    Source: `sklearn.model_selection.train_test_split`, twice, for random and stratified
    rows. Its `GroupShuffleSplit` counts groups where this counts rows.
    """
    rows = row_count(data)
    check_row_orders(data, "data", stratify=stratify, groups=groups, order=order)
    validation_rows = _part_rows("validation", validation, rows)
    test_rows = _part_rows("test", test, rows)
    check_count("gap", gap, "is the number of rows left out between parts", at_least=0)
    check_seed("seed", seed)
    _check_together(order, gap, stratify, groups)
    sizes = _sizes(rows, validation_rows, test_rows)
    if order is not None:
        return Split(*split_by_time(order, sizes, gap))
    return Split(*split_at_random(sizes, stratify, groups, seed))


def _part_rows(name: str, size: float | None, rows: int) -> int:
    if size is None:
        return 0
    purpose = f"is the size of the {name} part, a share or a number of rows,"
    if isinstance(size, (float, np.floating)):
        check_number(name, size, purpose, above=0, below=1)
        found = round(float(size) * rows)
    else:
        check_count(name, size, purpose)
        found = int(size)
    if not found:
        refuse_empty(name, f"{name}={size} of {rows} rows")
    return found


def _sizes(rows: int, validation: int, test: int) -> tuple[int, int, int]:
    if not validation and not test:
        raise ValueError(
            "`validation` and `test` are the parts kept from training and at least one "
            "must be given. Received: validation=None, test=None."
        )
    train = rows - validation - test
    if train < 1:
        counts = f"{validation} for validation and {test} for test of {rows} rows"
        refuse_empty("train", counts)
    return train, validation, test


def _check_together(order: Any, gap: int, stratify: Any, groups: Any) -> None:
    if order is None and gap:
        raise ValueError(
            "`gap` is the number of rows left out between parts in order of time and "
            f"must be 0 without `order`. Received: gap={gap}."
        )
    if order is not None and (stratify is not None or groups is not None):
        raise ValueError(
            "`order` alone decides which rows come last, so `stratify` and `groups` "
            "must be None with it. Received: order and "
            f"{'stratify' if groups is None else 'groups'}."
        )
