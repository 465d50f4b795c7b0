"""Each row is validated in one fold; classes and groups are spread over them."""

import numpy as np
import pandas as pd
import pytest

from keras_trainkit.data import Fold, folds

pytestmark = pytest.mark.backend_free

ROWS = 60
CLASSES = np.repeat(["ant", "bee", "cow"], [40, 17, 3])
GROUPS = np.repeat(np.arange(12), np.arange(12) % 5 + 3)  # 3 to 7 rows each


@pytest.mark.parametrize("stratify", [None, CLASSES, np.eye(3)[np.arange(ROWS) % 3]])
@pytest.mark.parametrize("groups", [None, GROUPS])
def test_every_row_is_validated_once(stratify, groups):
    if groups is not None:
        groups = np.resize(groups, ROWS)
    found = folds(ROWS, 5, stratify=stratify, groups=groups)
    assert all(isinstance(fold, Fold) for fold in found)
    validated = np.concatenate([fold.validation for fold in found])
    assert np.sort(validated).tolist() == list(range(ROWS))
    for train, validation in found:
        assert np.union1d(train, validation).tolist() == list(range(ROWS))
        assert len(train) + len(validation) == ROWS
        assert (np.diff(train) > 0).all() and (np.diff(validation) > 0).all()
        if groups is not None:
            assert not set(groups[train]) & set(groups[validation])


def test_sizes_and_shares_of_classes_differ_by_one_row_at_most():
    found = folds(ROWS, 4, stratify=CLASSES)
    assert [len(fold.validation) for fold in found] == [15] * 4
    for name, rows in (("ant", {10}), ("bee", {4, 5}), ("cow", {0, 1})):
        assert {np.sum(CLASSES[f.validation] == name) for f in found} == rows


def test_groups_bring_the_classes_near_to_their_shares():
    groups = np.arange(120) // 3
    classes = np.repeat([0, 1], [90, 30])
    for _, validation in folds(120, 5, stratify=classes, groups=groups):
        assert np.bincount(classes[validation]).tolist() == [18, 6]


def test_no_fold_is_without_a_group():
    groups = np.repeat([0, 1, 2], [50, 1, 1])
    assert sorted(len(f.validation) for f in folds(52, 3, groups=groups)) == [1, 1, 50]


def test_the_seed_decides():
    first, same, other = (folds(ROWS, 3, seed=seed)[0][1] for seed in (0, 0, 1))
    assert first.tolist() == same.tolist() != other.tolist()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"count": 1}, "^`count` is the number of folds"),
        ({"count": 61}, "^`count` is the number of folds.*60"),
        ({"count": 3, "groups": [0, 1] * 30}, "^`count` is the number of folds.*2"),
        ({"stratify": [0]}, "^`stratify`"),
        ({"groups": [None] * 60}, "^`groups`.*missing"),
        ({"seed": -1}, "^`seed`"),
    ],
)
def test_what_cannot_be_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        folds(ROWS, **arguments)


@pytest.mark.parametrize("name", ["stratify", "groups"])
def test_labels_of_the_rows_in_another_order_are_refused(name):
    table, back = pd.DataFrame({"a": GROUPS}), pd.Series(GROUPS)[::-1]
    with pytest.raises(ValueError, match=f"^`{name}` belongs to the rows of `data`"):
        folds(table, 2, **{name: back})
    folds(table, 2, **{name: back.to_numpy()})
