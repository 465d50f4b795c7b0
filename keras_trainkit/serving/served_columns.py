import re
from typing import Any

import numpy as np

from keras_trainkit.layers import TableEncoder
from keras_trainkit.serving._names import alike, check_names, served_name


def served_columns(encoder: TableEncoder, table: Any) -> dict[str, np.ndarray]:
    """Converts a table to what the model that was exported with its encoder is sent.

    Values are those of `encoder.plain_columns`, names those of the served inputs, as
    `serving.export` makes them of the columns' names:

    | column           | input              |
    | ---------------- | ------------------ |
    | `age`            | `age`              |
    | `hours-per-week` | `hours_per_week`   |
    | `20`             | `column_20`        |
    | `class`          | `column_class`     |

    Args:
        encoder: Adapted `layers.TableEncoder`, as in `export(preprocessing=encoder)`;
            of a fitted estimator, its `encoder_`.
        table: DataFrame, or dict of column names to arrays or lists, with the columns
            that the encoder was adapted to, in any order.

    Returns:
        Dict of input name to array `(rows,)`, as in `encoder.plain_columns`.

    Raises:
        ValueError: Another encoder, one that was not adapted, columns whose inputs
            would have one name, a table that the encoder refuses.

    Example:

    ```python
    import keras_trainkit
    from keras_trainkit import serving

    table = {"class": ["first", "third"], "2nd fare": [71.5, None]}
    encoder = keras_trainkit.layers.TableEncoder()
    encoder.adapt(table)
    serving.served_columns(encoder, table)
    # {"column_class": ["first", "third"], "column_2nd_fare": [71.5, nan]}
    ```
    """
    if not isinstance(encoder, TableEncoder):
        raise ValueError(
            "`encoder` makes the columns of a table those that are served and must be "
            f"a `layers.TableEncoder`. Received: encoder={encoder!r}."
        )
    plain = encoder.plain_columns(table)
    names = input_names(encoder)
    return {names[column]: values for column, values in plain.items()}


def input_names(encoder: TableEncoder) -> dict[str, str]:
    """Column name to input name, of Latin letters, digits and underscores only.

    Names without any of the first two, if there are several, are column positions.
    """
    names = {}
    foreign = [c for c in encoder.column_names if not re.search("[A-Za-z0-9]", c)]
    for position, column in enumerate(encoder.column_names):
        name = re.sub("[^A-Za-z0-9_]+", "_", column)
        if column in foreign and len(foreign) > 1:  # all would be underscores
            name = str(position)
        name = name if re.match("[A-Za-z]", name) else f"column_{name}"
        names[column] = served_name(name, "column")
    shared = alike(names.values())
    if shared:
        columns = [column for column, name in names.items() if name in shared]
        raise ValueError(
            "Each column is served as an input. In its name, characters other than "
            "letters, digits and underscores become underscores, a word of Python gets "
            "`column_` in front, and capitals are ignored; names must differ after "
            "that: rename columns and adapt an encoder to the same rows again: its "
            "arrays, and so the model, stay as they are. "
            f"Received: columns {columns}."
        )
    check_names("input", list(names.values()))
    return names
