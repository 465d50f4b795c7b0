"""What `TableEncoder` remembers of each column."""

import dataclasses
import math

from keras_trainkit.layers._table_kinds import KINDS

DAY = 86400.0
CYCLES = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}  # seconds


@dataclasses.dataclass(frozen=True)
class Learned:
    """One adapted column. Plain values only, so that JSON holds it.

    Args:
        name: Of the column.
        kind: "numeric", "boolean", "categorical" or "datetime".
        rows: Int. Adapted rows.
        missing: Int. Those without a value.
        fill: Float. What a missing value counts as; datetimes here in seconds.
        center: Float. Subtracted before scaling.
        spread: Float. Divided by; 0 for a column that was constant.
        lowest: Float. Smallest value.
        highest: Float. Largest value.
        cycles: List of the keys of `CYCLES` that a datetime goes round.
        levels: List of the known texts or numbers, the most frequent first.
        rare: Int. Levels that share a code with the unseen ones.
    """

    name: str
    kind: str
    rows: int
    missing: int
    fill: float = 0.0
    center: float = 0.0
    spread: float = 1.0
    lowest: float = 0.0
    highest: float = 0.0
    cycles: list = dataclasses.field(default_factory=list)
    levels: list = dataclasses.field(default_factory=list)
    rare: int = 0

    @property
    def levels_are(self):
        """ "text" or "number" for a categorical column, else None."""
        if not self.levels:
            return None
        return "text" if isinstance(self.levels[0], str) else "number"

    @classmethod
    def from_plain(cls, values) -> "Learned":
        """From a file, which anyone may have written."""
        learned = cls(**values)
        numbers = [getattr(learned, name) for name in NUMBERS]
        levels = learned.levels
        kinds_of_level = {str} if learned.levels_are == "text" else {int, float}
        sound = (
            isinstance(learned.name, str)
            and learned.kind in KINDS
            and bool(levels) == (learned.kind == "categorical")
            and all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
            and learned.spread >= 0
            and set(map(type, levels)) <= kinds_of_level
            and len(set(levels)) == len(levels)
            and "" not in levels
            and set(learned.cycles) <= set(CYCLES)
        )
        if not sound:
            raise ValueError(
                "A saved column holds what `adapt` learned and must be one that it "
                f"can learn. Received: {str(values)[:200]}."
            )
        return learned


NUMBERS = [f.name for f in dataclasses.fields(Learned) if f.type in (int, float)]
