import dataclasses
import json
import math
import pathlib
import textwrap
from typing import Any

from keras_trainkit._disk import writing


@dataclasses.dataclass(frozen=True)
class Finding:
    """A reading of one run: verdict, the numbers behind it, and one thing to do.

    Attributes:
        code: String, `KTK` and three digits; it never changes its meaning.
        verdict: String, a few words, such as `overfitting from epoch 12`.
        severity: String: `error`, the run is of no use; `warning`, it or its numbers
            can be bettered; `note`, to be known; `good`.
        why: String. A sentence with the numbers.
        threshold: String. The rule that was met.
        numbers: Dict of name to float or int, those that the rule compared.
        action: String. What to do first.
    """

    code: str
    verdict: str
    severity: str
    why: str
    threshold: str
    numbers: dict[str, float]
    action: str

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; what is no finite number becomes a string."""
        numbers = {
            name: value if math.isfinite(value) else str(value)
            for name, value in self.numbers.items()
        }
        return {**dataclasses.asdict(self), "numbers": numbers}

    def __str__(self) -> str:
        lines = [f"[{self.code}] {self.verdict} ({self.severity})"]
        for title, text in (
            ("why", self.why),
            ("rule", self.threshold),
            ("do", self.action),
        ):
            indent = " " * 8
            lines += textwrap.wrap(
                f"{title + ':':<6}{text}",
                88,
                initial_indent="  ",
                subsequent_indent=indent,
            )
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True, repr=False)
class Diagnosis:
    """Findings of a run, the gravest first; printed, they read as a report.

    Attributes:
        findings: List of `Finding`.
        muted: Tuple of codes that were left out.
        epochs: Int. Epochs that were looked at.
    """

    findings: list[Finding]
    muted: tuple[str, ...]
    epochs: int

    @property
    def verdict(self) -> str:
        """The verdict of the gravest finding."""
        if not self.findings:
            return "nothing found"
        return self.findings[0].verdict

    @property
    def codes(self) -> list[str]:
        """The codes of the findings, the gravest first."""
        return [finding.code for finding in self.findings]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for a JSON."""
        return {
            "verdict": self.verdict,
            "epochs": self.epochs,
            "findings": [finding.to_dict() for finding in self.findings],
            "muted": list(self.muted),
        }

    def to_json(self, path: str | pathlib.Path | None = None) -> str:
        """The text of a JSON; with `path` it is written there too."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False)
        if path is not None:
            with writing(pathlib.Path(path)) as file:
                file.write_text(text + "\n", encoding="utf-8")
        return text

    def __str__(self) -> str:
        count = len(self.findings)
        muted = f"; muted: {', '.join(self.muted)}" if self.muted else ""
        head = (
            f"{self.verdict}\n{count} finding{'' if count == 1 else 's'} in "
            f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}{muted}"
        )
        return "\n\n".join([head, *map(str, self.findings)])

    def __repr__(self) -> str:
        return f"Diagnosis({self.verdict!r}, codes={self.codes})"
