"""Rows are kept from training by share, number, row numbers, groups and time."""

import numpy as np
import pytest

from keras_trainkit.estimators._validation_rows import (
    entries_of,
    folds_of,
    group_numbers,
    training_and_validation,
)

pytestmark = pytest.mark.backend_free

ROWS = np.arange(20)
CODES = np.repeat([0, 1], [15, 5])


def parts(validation=0.2, rows=ROWS, codes=None, groups=None, order=None, seed=3):
    return training_and_validation(validation, rows, 20, codes, groups, order, seed)


def test_each_class_has_its_share():
    training, validated = parts(0.2, codes=CODES)
    assert np.bincount(CODES[validated]).tolist() == [3, 1]
    assert sorted([*training, *validated]) == ROWS.tolist()


def test_a_class_of_one_row_is_trained_on():
    codes = np.array([*CODES[:-1], 2])
    for seed in range(9):
        assert 19 in parts(0.5, codes=codes, seed=seed)[0]


def test_the_group_of_a_class_of_one_row_is_trained_on_with_it():
    codes = np.array([*CODES[:-1], 2])
    groups = np.repeat(np.arange(5), 4)
    for seed in range(9):
        training, validated = parts(0.4, codes=codes, groups=groups, seed=seed)
        assert {16, 17, 18, 19} <= set(training)
        assert not set(groups[training]) & set(groups[validated])


def test_a_share_is_raised_to_a_row_for_each_class():
    codes = np.arange(20) // 2
    assert sorted(codes[parts(0.1, codes=codes)[1]]) == list(range(10))


def test_groups_stay_together():
    groups = np.repeat([3, 0, 1, 2], 5)
    training, validated = parts(0.25, groups=groups)
    assert len(validated) == 5
    assert not set(groups[training]) & set(groups[validated])


def test_the_last_rows_in_time_are_validated():
    times = np.array([*range(10, 20), *range(10)])
    assert sorted(times[parts(4, order=times)[1]]) == [16, 17, 18, 19]
    assert parts(4, order="rows")[1].tolist() == [16, 17, 18, 19]


def test_rows_without_weight_are_in_neither_part():
    training, validated = parts([0, 1, 2], rows=ROWS[2:])
    assert validated.tolist() == [2]
    assert training.tolist() == ROWS[3:].tolist()
    training, validated = parts([17, 19], rows=ROWS[:-1])  # the last has no weight
    assert validated.tolist() == [17]


@pytest.mark.parametrize(
    "validation",
    [[], [0, 0], [20], [-1], [0.5], list(range(20)), np.zeros((2, 2), int), None, "a"],
)
def test_row_numbers_that_are_none_are_refused(validation):
    with pytest.raises(ValueError, match="^`validation` chooses .*different row"):
        parts(validation)


@pytest.mark.parametrize("validation", [0.0, 1.0, -0.5, 0, 20, True])
def test_sizes_that_leave_a_part_empty_are_refused(validation):
    with pytest.raises(ValueError, match="^`validation` chooses"):
        parts(validation)


@pytest.mark.parametrize(
    ("validation", "received"),
    [(1, "1 of 20"), (19, "19 of 20"), (np.int64(1), "1 of 20"), (0.97, "19 of 20")],
)
def test_sizes_without_room_for_each_class_are_refused(validation, received):
    words = f"^`validation` chooses .* 2 classes .*: 2 to 18 rows.*{received} rows"
    with pytest.raises(ValueError, match=words):
        parts(validation, codes=CODES)
    assert len(parts(2, codes=CODES)[1]) == 2
    assert len(parts(18, codes=CODES)[0]) == 2


def test_row_numbers_stand_alone():
    with pytest.raises(ValueError, match="Received: row numbers, and groups"):
        parts([1, 2], groups=ROWS)


def test_one_row_is_too_few():
    with pytest.raises(ValueError, match="^`X` holds a row per .*n_samples=1 of"):
        parts(rows=ROWS[:1])


@pytest.mark.parametrize(
    "groups",
    [
        [3, 1, 3],
        ["u", "v", "u"],
        [2.5, -1.0, 2.5],
        np.array(["2020-01-01", "2021-01-01", "2020-01-01"], "M8[D]"),
        np.array([1, "a", 1], object),
        np.array([2**63, 1, 2**63], "uint64"),
    ],
)
def test_groups_of_any_type_are_numbered(groups):
    assert group_numbers(np.asarray(groups)).tolist() == [0, 1, 0]


def test_a_class_of_one_row_or_one_group_is_trained_on_in_every_fold():
    codes = np.array([*CODES[:-1], 2])
    for training, _ in folds_of(4, ROWS, codes, None, seed=0):
        assert 19 in training
    groups = np.repeat(np.arange(10), 2)
    codes = np.array([*[0, 1] * 9, 2, 2])  # class 2 is group 9
    for training, _ in folds_of(4, ROWS, codes, groups, seed=0):
        assert {18, 19} <= set(training)


def test_folds_of_rows_that_count():
    rows = ROWS[ROWS % 3 > 0]
    splits = folds_of(3, rows, CODES, None, seed=0)
    assert sorted(np.concatenate([part for _, part in splits])) == rows.tolist()
    assert set(splits[0][0]) <= set(rows)


@pytest.mark.parametrize("name", ["groups", "order"])
@pytest.mark.parametrize("values", [range(20), list("ab") * 10, np.linspace(0, 1, 20)])
def test_masked_groups_and_times_are_missing(name, values):
    masked = np.ma.array(values, mask=np.arange(20) < 3)
    with pytest.raises(ValueError, match=f"^`{name}` .*Received: 3 missing"):
        entries_of(name, masked, 20, ROWS)
    shown = entries_of(name, np.ma.array(values), 20, ROWS[5:])
    assert shown.tolist() == list(values)[5:]
