"""The page of the codes says what the code does."""

import pathlib
import re

from keras_trainkit.analysis._codes import CODES

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()
ROWS = re.findall(r"^\| (KTK\d{3}) \| (.*) \| (\w+) \| (.*) \| (.*) \|$", PAGE, re.M)


def test_the_page_has_every_code_with_its_rule_and_action():
    expected = [
        (code, k.name, k.severity, k.rule, k.action) for code, k in CODES.items()
    ]
    assert expected == ROWS


def test_the_gravest_codes_stand_first():
    order = ["error", "warning", "good", "note"]
    ranks = [order.index(kind.severity) for kind in CODES.values()]
    assert ranks == sorted(ranks)
