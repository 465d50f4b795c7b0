"""`validation_split` of `fit`: a share that leaves a row on either side of the cut."""

import math
from typing import Any

from keras_trainkit._checks import check_number
from keras_trainkit.models._data_arrays import num_rows


def check_validation_split(share: Any, x: Any, validation_data: Any) -> None:
    """Refuses what Keras would refuse in its own words, or take.

    Args:
        share: As given to `fit`, or None.
        x: Likewise. Data that are read batch by batch are left to Keras.
        validation_data: Likewise; where it is given, nothing is cut.
    """
    if share is None:
        return
    purpose = "is the share of the rows that the model is judged by"
    check_number("validation_split", share, purpose, at_least=0, below=1)
    rows = num_rows(x) if share and validation_data is None else None
    if not rows:
        return
    trained = math.floor(rows * (1 - share))  # as Keras cuts
    if not 0 < trained < rows:
        raise ValueError(
            f"`validation_split` {purpose} and must leave at least one for it and one "
            f"for the training. Received: validation_split={share}, {rows} rows, of "
            f"which {trained} train and {rows - trained} judge."
        )
