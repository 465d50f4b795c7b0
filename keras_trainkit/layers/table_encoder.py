import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_trainkit._checks import check_choice, check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._tables.column_state import ColumnState, states_from_config
from keras_trainkit._tables.columns import check_names
from keras_trainkit._tables.encoding import (
    EncodingPlan,
    encode_arrays,
    encode_tensors,
    plain_table,
    sent_table,
)
from keras_trainkit._tables.kinds import (
    check_categories,
    check_kinds,
    check_missing_values,
    check_saved_kinds,
)
from keras_trainkit._tables.learning import learn
from keras_trainkit._tables.summary import summary_of
from keras_trainkit._types import Tensor


@serializable
class TableEncoder(keras.layers.Layer):
    """Encodes a table with columns of any type as two arrays that a model trains on.

    `adapt` learns from the training rows; a call on a DataFrame or a dict of columns
    then gives NumPy arrays, computed without a backend:

    ```
    {"numeric": (rows, n) float32, "categorical": (rows, m) int32}
    ```

    | a column of             | is          | becomes                                  |
    | ----------------------- | ----------- | ---------------------------------------- |
    | numbers, few or many    | numeric     | scaled number; its median where missing  |
    | True, False             | boolean     | 1, 0; the more frequent where missing    |
    | datetimes               | datetime    | scaled number; sine and cosine of each   |
    |                         |             | cycle (day, week, year) that it spans    |
    | texts, pandas' category | categorical | 0 missing; 1 unseen in `adapt`, or rare; |
    |                         |             | from 2 on a level each, frequent first   |

    Levels of intervals (`pandas.cut`), periods, times, durations and tuples are texts:
    `(0, 2.5]`, `2020-01`, `08:30:00`, `1 day, 0:00:00`, `('a', 1)`; those of datetimes
    are ISO 8601: `2020-01-31`, `2020-01-31T12:00:00` (UTC). Such texts may be sent in
    their place.

    Integers stay numeric however few they are: `categories` names those that are mere
    codes. Missing are None, NaN, NaT and `pandas.NA`; texts that are blank; and, in any
    case of letters, `? - -- . na n/a #n/a nan nat <na> null none` (`missing_values`).
    Levels are those of the adapted rows; pandas' list of categories, which holds the
    levels of the test rows too, is not used. `"Ulm"`, `" Ulm"` and `"ULM"` are three of
    them, and a UserWarning says so.

    All texts of a column that are not missing decide together what it is; if up to 1 %
    of them do not fit, these count as missing and a UserWarning says so. The order of
    the rows does not matter, `summary` shows the decision, and `kinds` overrides it:

    | texts                                      | are                              |
    | ------------------------------------------ | -------------------------------- |
    | `5`, `-5`, `−5`, `+5`, `.5`, `1e3`         | numbers                          |
    | `1,234.5`, `1 234.5`, `1'234`, `12,34,567` | numbers                          |
    | `1.234,5`, `1 234,5`, `1,5`                | numbers with a decimal comma     |
    | `(1,200)`                                  | the number -1200                 |
    | `$5`, `-$5`, `5 €`, `USD 5`                | numbers, if of one currency;     |
    |                                            | some may be without its sign     |
    | `22.8 %`                                   | the number 22.8, if all have %   |
    | `2024-01-31`, `2024-01-31 12:00`,          | datetimes; with a zone in UTC,   |
    | `2024-01-31T12:00:00.5+01:00`              | without one as they are          |
    | `12:30`, `12:30:05`                        | datetimes: times of the day      |
    | `yes`, `no`, or `y`, `n`; `true`, `false`, | booleans, if all are, and both   |
    | or `t`, `f`; `on`, `off`; in any case      | occur                            |
    | `01234` or over 15 digits, in any row      | texts, for they are codes        |
    | `1,234` alone                              | 1234, as the summary remarks     |
    | `1.234` alone                              | 1.234, as the summary remarks;   |
    |                                            | with a currency texts, with a    |
    |                                            | warning                          |
    | `1,234` beside `1,5`                       | 1.234 and 1.5; texts, with a     |
    |                                            | warning, if under 1 % show the   |
    |                                            | decimal mark, or over 1 % of     |
    |                                            | these contradict the others      |
    | `12 kg`, `80,0 m²`, and the like           | texts, with a warning if over 20 |
    |                                            | differ, of mostly one unit       |
    | `31.01.2024`, `1.2.3`, `5` beside `x`, and | texts, with a warning if most    |
    | all others                                 | are numbers or dates             |

    Texts of pandas' category stay texts, unless `kinds` says otherwise. A column may
    hold numbers beside texts if all texts are numbers (`read_csv` gives such columns).
    Afterwards, in a table and in a served model, the same texts are accepted; one that
    does not fit counts as missing.

    | value                             | in `adapt` | afterwards          |
    | --------------------------------- | ---------- | ------------------- |
    | infinite number, or over 1.8e308  | ValueError | missing, with a     |
    |                                   |            | warning             |
    | level that is no UTF-8            | ValueError | unseen              |
    | missing in the whole column       | ValueError | fine                |
    | missing, but in no adapted row    |            | filled, not flagged |
    | of another kind than in `adapt`   | ValueError | ValueError          |
    | text, in a column of numbers,     |            | read as above, or   |
    | booleans or datetimes             |            | ValueError          |
    | column unknown, or left out       | ValueError | ValueError          |
    | column of one number              | fine       | 0, unless unscaled  |
    | column of over 1,000,000 levels   | ValueError | fine                |

    Args:
        categories: "auto", or a list of the names of further columns that are
            categorical, such as numbers that are mere codes (below 2^53), datetimes,
            intervals or periods.
        max_categories: Int >= 1. Levels per column with a code of their own. The
            rarest beyond that number (ties: last alphabetically) share code 1 with
            unseen values.
        missing: "indicator" adds a column of 0 and 1 to `numeric` for each column that
            is not categorical and had a missing value in `adapt`; "fill" adds none.
        scaling: Of numbers and datetimes. "robust" is `layers.RobustScaling` (its
            bound 3), "standard" `layers.StandardScaling`, None leaves numbers as they
            are and gives datetimes as days since 1970.
        kinds: Dict of column name to "numeric", "boolean", "categorical" or
            "datetime", where the tables above would say otherwise; None for no such
            column. Texts must then all be so: ValueError in `adapt`.
        missing_values: "auto" is the words above; a list of texts stands in their
            place (`[]`: blank texts alone), a dict gives such lists by column, the
            others being "auto".
        **kwargs: Passed to `keras.layers.Layer` (`name`, ...).

    Output shape: dict as above, `n = len(numeric_names)`, `m = len(category_sizes)`,
    either may be 0; under every dtype policy float32 and int32.

    In a graph (TensorFlow alone) it takes a dict of tensors `(rows,)` or `(rows, 1)`,
    of what `plain_columns` gives, and answers with the same numbers: they are computed
    in float64 and rounded once. `serving.export(..., preprocessing=encoder)` uses it.

    What was learned is in the configuration of the build, so it travels with the
    `.keras` file of a model that holds the encoder, though not with `.weights.h5` or
    `clone_model`. An encoder has a file of its own, without code or pickle, by

    ```python
    keras.saving.save_model(encoder, "encoder.keras")
    encoder = keras.saving.load_model("encoder.keras")
    ```

    Example:

    ```python
    encoder = keras_trainkit.layers.TableEncoder()
    encoder.adapt({"age": [20.0, 40.0, None], "town": ["Ulm", "Ulm", "Bonn"]})
    encoder.numeric_names  # ("age", "age_missing")
    encoder({"age": [30.0, None], "town": ["Bonn", "Rome"]})
    # {"numeric": [[0, 0], [0, 1]], "categorical": [[3], [1]]}
    ```

    Source: `keras.utils.FeatureSpace`, which needs the type of each column, knows no
    missing numbers and encodes by TensorFlow operations. The scaling is that of
    Holzmüller, Grinsztajn and Steinwart, 2024, arXiv:2407.04491.
    """

    def __init__(
        self,
        categories: str | Sequence[str] = "auto",
        max_categories: int = 256,
        missing: str = "indicator",
        scaling: str | None = "robust",
        kinds: dict[str, str] | None = None,
        missing_values: str | Sequence[str] | dict[str, Sequence[str]] = "auto",
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)
        check_categories(categories)
        check_count(
            "max_categories",
            max_categories,
            "is the number of levels per column that have their own code",
            at_most=1_000_000,
        )
        check_choice(
            "missing",
            missing,
            "says whether missing numbers are flagged",
            ("indicator", "fill"),
        )
        check_choice(
            "scaling",
            scaling,
            "brings numbers to a common size",
            ("robust", "standard", None),
        )
        check_kinds(kinds, categories)
        check_missing_values(missing_values)
        self.categories = categories
        self.max_categories = max_categories
        self.missing = missing
        self.scaling = scaling
        self.kinds = kinds
        self.missing_values = missing_values
        self._plan: EncodingPlan | None = None
        self._lookup = None
        if keras.config.backend() == "tensorflow":  # others have no tensors of texts
            # With a vocabulary given, StringLookup saves no file for it; its own file
            # breaks at newlines.
            self._lookup = keras.layers.StringLookup(mask_token="", vocabulary=["-"])

    def adapt(self, table: Any) -> None:
        """Learns columns, levels, fill values and scaling, afresh at every call.

        Chunks are read one after the other and not kept. The result does not depend on
        how rows are cut into chunks, and up to 262,144 values of a column not on their
        order either ("standard": but for rounding); beyond, the rank of median and
        quartiles is off by less than 0.1 % of the values (up to 1e8 of them). Memory:
        2 MB per numeric column, and the different values of each categorical one.

        Args:
            table: DataFrame, dict of column names to arrays or lists `(rows,)`, or an
                iterable of such chunks with the same columns, in any order.

        Raises:
            ValueError: See the tables above; columns of unequal lengths, no rows, a
                column of two kinds, a name in `categories` or `kinds` without column.

        Warns:
            UserWarning: See the table of texts above.
        """
        kinds, words = self._named_kinds(), self.missing_values
        self._assign(learn(table, kinds, words, self.scaling, self.max_categories))

    def __call__(self, table: Any, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        if self._lookup is not None and _has_tensors(table):
            return super().__call__(table, *args, **kwargs)
        plan = self._adapted_plan()
        return encode_arrays(plan, plain_table(table, plan.states, self.kinds or {}))

    def call(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        plan = self._adapted_plan()
        check_names(plan.names, inputs)
        return encode_tensors(plan, inputs, self._lookup)

    def get_build_config(self) -> dict[str, Any] | None:
        if self._plan is None:
            return None
        return {"columns": [dataclasses.asdict(s) for s in self._plan.states]}

    def build_from_config(self, config: dict[str, Any]) -> None:
        states = states_from_config(config, self.max_categories)
        kinds = {state.name: state.kind for state in states}
        check_saved_kinds(kinds, self._named_kinds())
        self._assign(states)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "categories": _plain_copy(self.categories),
            "max_categories": self.max_categories,
            "missing": self.missing,
            "scaling": self.scaling,
            "kinds": _plain_copy(self.kinds),
            "missing_values": _plain_copy(self.missing_values),
        }

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns of a table, in the order of the adapted one."""
        return self._adapted_plan().names

    @property
    def numeric_names(self) -> tuple[str, ...]:
        """Different names of the columns of `numeric`: values, then cycles, flags."""
        return self._adapted_plan().numeric_names

    @property
    def categorical_names(self) -> tuple[str, ...]:
        """The columns that `categorical` is made of."""
        return tuple(column.name for column in self._adapted_plan().categories)

    @property
    def numeric_shape(self) -> tuple[int]:
        """Shape of one row of `numeric`."""
        return (len(self.numeric_names),)

    @property
    def category_sizes(self) -> tuple[int, ...]:
        """Codes of each categorical column: its known levels, and 2."""
        return self._adapted_plan().category_sizes

    def levels(self, column: str) -> tuple:
        """Known levels of a categorical column, in the order of their codes from 2."""
        known = {c.name: c.levels for c in self._adapted_plan().categories}
        if column not in known:
            raise ValueError(
                "`column` is the one whose levels are asked for and must be one of "
                f"{list(known)}. Received: column={column!r}."
            )
        return tuple(known[column])

    def summary(self) -> str:
        """One line of text per column, and remarks, to be printed.

        Remarks tell which texts were read in doubt, or stay texts though most of them
        could be read, and name columns of at least 20 values, texts or whole numbers,
        of which 95 % are different: most likely identifiers, which teach nothing.
        """
        return summary_of(self._adapted_plan().states, self.missing == "indicator")

    def plain_columns(self, table: Any) -> dict[str, np.ndarray]:
        """Converts a table to what an exported model is sent: arrays for tensors.

        Args:
            table: DataFrame, or dict of column names to arrays or lists.

        Returns:
            Dict of column name to array `(rows,)`:

            | column               | type                                            |
            | -------------------- | ----------------------------------------------- |
            | numeric, categories  | float64, NaN where missing                      |
            | that are numbers     |                                                 |
            | boolean              | int32: 0, 1, -1 where missing                   |
            | texts, whatever they | objects: str, "" where missing, other texts     |
            | stand for            | that count as missing as they are; bytes for    |
            |                      | those that UTF-8 cannot hold, which no level    |
            |                      | equals                                          |
            | datetime             | float64: seconds since 1970-01-01 (UTC where    |
            |                      | the values have a time zone), NaN where missing |
        """
        return sent_table(table, self._adapted_plan().states, self.kinds or {})

    def _named_kinds(self) -> dict[str, str]:
        """Kinds of the columns that `categories` and `kinds` name."""
        kinds = dict(self.kinds or {})
        if self.categories != "auto":
            kinds.update(dict.fromkeys(self.categories, "categorical"))
        return kinds

    def _assign(self, states: list[ColumnState]) -> None:
        plan = EncodingPlan(states, self.missing == "indicator", self.scaling)
        if self._lookup is not None:
            # As objects, since NumPy's texts lose "\0" at their end.
            self._lookup.set_vocabulary(np.array(plan.vocabulary or ["-"], object))
        self._plan = plan
        self.built = True

    def _adapted_plan(self) -> EncodingPlan:
        if self._plan is None:
            raise ValueError(
                f"{self.name} encodes by what it learned from a table: call "
                "`adapt(table)`, or load it, before any other call. Received: neither."
            )
        return self._plan


def _has_tensors(table: Any) -> bool:
    values = table.values() if isinstance(table, dict) else ()
    return any(
        keras.ops.is_tensor(value) or isinstance(value, keras.KerasTensor)
        for value in values
    )


def _plain_copy(value: Any) -> Any:
    """Plain copy of a list or dict, which Keras wraps to watch its changes."""
    if isinstance(value, dict):
        return dict(value)
    return list(value) if isinstance(value, list) else value
