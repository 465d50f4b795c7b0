import inspect

import numpy as np
import pandas as pd
import pytest
from keras import ops

from keras_trainkit.data import Split, split

LABELS = np.repeat(["ant", "bee", "cow"], [50, 35, 15])
PEOPLE = np.repeat(np.arange(24), np.arange(24) + 1)  # 300 rows, 1 to 24 each
DAYS = np.repeat(pd.date_range("2024-03-01", periods=50), 4)  # 200 rows


def shuffled(values, seed=5):
    return np.random.default_rng(seed).permutation(values)


def sizes(parts):
    return [len(part) for part in parts]


def assert_every_row_once(parts, rows):
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(rows))


WAYS = {
    "random": {},
    "stratified": {"stratify": shuffled(np.tile(LABELS, 3))},
    "grouped": {"groups": shuffled(PEOPLE)},
    "both": {"groups": PEOPLE, "stratify": PEOPLE % 3},
    "in order": {"order": shuffled(np.arange(300.0))},
    "rows": {"order": "rows"},
}
every_way = pytest.mark.parametrize("way", WAYS)


@every_way
@pytest.mark.parametrize("validation", [0.16, 30, None])
def test_parts_are_disjoint_and_complete(way, validation):
    parts = split(300, validation=validation, **WAYS[way])
    assert_every_row_once(parts, 300)
    assert {part.dtype.kind for part in parts} == {"i"}


@every_way
@pytest.mark.parametrize(
    ("validation", "test", "expected"),
    [
        (0.16, 0.2, [192, 48, 60]),
        (0.25, 11, [214, 75, 11]),
        (None, 0.2, [240, 0, 60]),
        (0.1, None, [270, 30, 0]),
        (0.0985, 0.0985, [240, 30, 30]),  # 29.55 rows
    ],
)
def test_sizes_are_those_asked_for(way, validation, test, expected):
    parts = split(300, validation=validation, test=test, **WAYS[way])
    slack = {"grouped": 1, "both": 9}.get(way, 0)  # groups of 1 to 24 rows
    assert np.abs(np.subtract(sizes(parts), expected)).max() <= slack


@every_way
def test_the_test_part_does_not_depend_on_the_size_of_validation(way):
    small, large = (split(300, validation=v, **WAYS[way]) for v in (0.1, 0.4))
    np.testing.assert_array_equal(small.test, large.test)


def test_a_second_call_gives_the_same_parts_and_another_seed_others():
    for again in (split(90), split(90, seed=0)):
        np.testing.assert_array_equal(again.test, split(90).test)
    assert list(split(90, seed=1).test) != list(split(90).test)
    by_group = [split(300, groups=PEOPLE, seed=seed).test for seed in (0, 1, 0)]
    np.testing.assert_array_equal(by_group[0], by_group[2])
    assert list(by_group[0]) != list(by_group[1])


def test_without_a_seed_two_calls_differ():
    assert list(split(90, seed=None).test) != list(split(90, seed=None).test)


def test_seed_zero_is_the_default():
    assert inspect.signature(split).parameters["seed"].default == 0


def test_random_rows_come_in_ascending_order():
    for part in split(100):
        assert (np.diff(part) > 0).all()


@pytest.mark.parametrize(
    "data",
    [
        50,
        np.zeros((50, 2, 3)),
        list(range(50)),
        pd.DataFrame({"a": range(50)}, index=range(7, 57)),
        {"a": np.zeros(50), "b": pd.Series(range(50))},
        (np.zeros((50, 3)), {"a": np.zeros(50)}),
    ],
    ids=["count", "array", "list", "table", "dict", "tuple"],
)
def test_whatever_has_fifty_rows_is_split_alike(data):
    parts = split(data)
    assert isinstance(parts, Split)
    np.testing.assert_array_equal(parts.validation, split(50).validation)


def test_tensors_are_split_and_may_hold_the_classes():
    labels = ops.convert_to_tensor(np.repeat([0, 1], 25))
    parts = split(labels, stratify=labels)
    assert [sum(part >= 25) for part in parts] == [16, 4, 5]


# Classes


def test_each_class_has_its_share_of_each_part():
    labels = shuffled(LABELS)
    parts = split(labels, stratify=labels, validation=0.2, test=0.2)
    for part in parts[1:]:
        assert [sum(labels[part] == c) for c in ("ant", "bee", "cow")] == [10, 7, 3]


@pytest.mark.parametrize("seed", range(5))
def test_shares_that_do_not_come_out_even_are_off_by_two_rows_at_most(seed):
    labels = np.random.default_rng(seed).integers(7, size=211)
    parts = split(labels, stratify=labels, seed=seed)
    for label in range(7):
        members = sum(labels == label)
        for part in parts:
            assert abs(sum(labels[part] == label) - members * len(part) / 211) < 2


@pytest.mark.parametrize(
    "form",
    [
        lambda y: y[:, None],
        lambda y: np.eye(3)[y],
        lambda y: y.tolist(),
        lambda y: pd.Series(y, index=range(100, 200)),
        lambda y: pd.Series(y).map({0: "ant", 1: "bee", 2: "cow"}),
        lambda y: pd.Series(y).astype("category"),
        lambda y: pd.Series(y).astype("Int64"),
    ],
    ids=["column", "one-hot", "list", "series", "text", "category", "Int64"],
)
def test_classes_in_any_form_give_the_same_parts(form):
    y = np.repeat([0, 1, 2], [50, 35, 15])
    np.testing.assert_array_equal(
        split(100, stratify=form(y)).train, split(100, stratify=y).train
    )


# Groups


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_parts(seed):
    people = shuffled([f"person {number}" for number in PEOPLE])
    parts = split(300, groups=people, seed=seed)
    train, validation, test = (set(people[part]) for part in parts)
    assert not (train & validation or train & test or validation & test)


def test_a_group_larger_than_the_test_part_stays_in_training():
    people = np.repeat(np.arange(41), [60] + [1] * 40)
    for seed in range(5):
        parts = split(100, groups=people, seed=seed)
        assert sizes(parts) == [64, 16, 20]
        assert set(range(60)) <= set(parts.train)


def test_groups_and_classes_together_balance_both():
    rng = np.random.default_rng(1)
    people = rng.integers(100, size=2000)
    labels = (rng.random(2000) < 0.1 + 0.5 * (people % 2)).astype(int)
    parts = split(2000, groups=people, stratify=labels)
    assert not set(people[parts.train]) & set(people[parts.test])
    for part in parts:
        assert labels[part].mean() == pytest.approx(labels.mean(), abs=0.01)


# Order of time


def test_the_latest_rows_are_the_test_part_and_validation_comes_before():
    parts = split(10, order=np.arange(10)[::-1], validation=2, test=3)
    assert [part.tolist() for part in parts] == [[9, 8, 7, 6, 5], [4, 3], [2, 1, 0]]


def test_ordered_categories_are_in_their_own_order():
    months = pd.Series(["Mar", "Jan", "Feb", "Jan"], dtype="category")
    months = months.cat.set_categories(["Jan", "Feb", "Mar"], ordered=True)
    for order in (months, months.array, pd.CategoricalIndex(months)):
        parts = split(4, order=order, validation=1, test=1)
        assert [part.tolist() for part in parts] == [[1, 3], [2], [0]]


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01-31", "2024-02-01", "2024-02-02"],
        ["2024/01/31", "2024/02/01", "2024/02/02"],
        ["08", "09", "10"],
        ["week a", "week b", "week c"],
    ],
)
def test_texts_that_sort_as_their_times_are_times(texts):
    parts = split(3, order=texts[::-1], validation=1, test=1)
    assert [part.tolist() for part in parts] == [[2], [1], [0]]


def test_gaps_are_left_out_before_validation_and_before_test():
    parts = split(20, order="rows", validation=4, test=5, gap=2)
    assert [part.tolist() for part in parts] == [
        list(range(7)),
        [9, 10, 11, 12],
        [15, 16, 17, 18, 19],
    ]


def test_without_validation_there_is_one_gap():
    parts = split(20, order="rows", validation=None, test=5, gap=2)
    assert sizes(parts) == [13, 0, 5]


@pytest.mark.parametrize(
    "times", [DAYS, DAYS.astype(str), DAYS.to_numpy()], ids=["dates", "text", "numpy"]
)
def test_rows_of_one_time_stay_in_one_part(times):
    times = shuffled(np.asarray(times))
    parts = split(200, order=times, validation=0.16, test=41)  # 32 rows, and 1 too many
    assert sizes(parts) == [128, 32, 40]
    train, validation, test = (times[part] for part in parts)
    assert train.max() < validation.min() <= validation.max() < test.min()


# What is refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"data": 0}, "number of rows, or what has them.*at least 1"),
        ({"data": []}, r"must have at least one.*Received: arrays with \[0\] rows"),
        ({"data": {}}, r"must have at least one.*Received: arrays with \[\] rows"),
        (
            {"data": {"a": np.zeros(3), "b": np.zeros(4)}},
            r"as many in each of its arrays. Received: arrays with \[3, 4\] rows",
        ),
        ({"data": iter([1])}, "must be their number.*of type list_iterator"),
        ({"test": 1.0}, "size of the test part.*below 1. Received: test=1.0"),
        ({"test": 0}, "size of the test part.*at least 1. Received: test=0"),
        ({"validation": True}, "size of the validation part.*validation=True"),
        ({"test": "20%"}, "size of the test part.*test='20%'"),
        ({"test": 0.001}, "The test part must have at least one row.*test=0.001 of"),
        ({"validation": 0.5, "test": 0.5}, "The train part must have at least one row"),
        ({"validation": 99, "test": 99}, "train part .* Received: 99 for validation"),
        ({"validation": None, "test": None}, "at least one must be given"),
        ({"seed": -1}, "repeatable"),
        ({"gap": 3}, "must be 0 without `order`. Received: gap=3"),
        ({"gap": -3, "order": "rows"}, "left out between parts.*gap=-3"),
        (
            {"order": "time"},
            r"times of the rows and must be times `\(100,\)`.* or \"rows\" if .*"
            "Received: order='time'",
        ),
        ({"order": "rows", "groups": range(100)}, "None with it. .*order and groups"),
        ({"order": "rows", "stratify": LABELS}, "None with it.*order and stratify"),
        ({"order": np.zeros(100)}, "The train part.* order with 1 different times"),
        (
            {"order": np.array(["a", 1] * 50, object)},
            "must compare with each other. Received: '<'",
        ),
        (
            {"order": [f"{day}.{month}.2024" for month in (1, 2) for day in range(50)]},
            "characters: `pandas.to_datetime` with a `format` reads.*'0.1.2024' and",
        ),
        (
            {"order": [f"2024-01-01T0{n % 10}:00+0{n % 9}:00" for n in range(100)]},
            "sort as these do.*`pandas.to_datetime` reads them",
        ),
        ({"order": [str(n) for n in range(100)]}, "`.astype.float.` .*'19' and '2'"),
        ({"order": np.zeros((100, 2))}, r"one for each.*shape \(100, 2\)"),
        ({"order": "rows", "gap": 40}, "The train part .* with gap=40"),
        (
            {"order": "rows", "gap": 90, "test": 9, "validation": 7},
            r"The train part .*\(84, 7, 9\) rows wanted with gap=90",
        ),
        (  # nothing is left for validation
            {"order": "rows", "gap": 91, "test": 9, "validation": 7},
            r"The train part .*\(84, 7, 9\) rows wanted with gap=91",
        ),
        ({"order": [np.nan] + [1.0] * 99}, "none may be missing.*order with 1 of 100"),
        ({"stratify": LABELS[:99]}, r"for each of the 100 rows.*of shape \(99,\)"),
        (
            {"groups": [[1], [2, 3]] * 50},
            r"one entry for each .*unequal.*\[\[1\], \[2,",
        ),
        ({"groups": np.zeros(7)}, r"for each of the 100 rows.*of shape \(7,\)"),
        ({"groups": np.arange(100) % 2}, "each of the 3 parts. Received: 2 groups"),
        (
            {"groups": np.repeat([1, 2, 3], [10, 10, 80]), "validation": 79},
            "The train part .* Received: 1 rows wanted, but groups",
        ),
        ({"stratify": np.arange(100)}, "merge rare classes.*regression.*1 of class 0"),
        (
            {"stratify": ["a"] * 98 + ["rare"] * 2},
            "a row for each of the 3 parts.*Received: 2 of class 'rare'",
        ),
        (
            {"stratify": np.repeat(range(25), 4)},
            "no part may have fewer rows than there are classes. Received: 25 classes",
        ),
        (
            {"stratify": [0] * 97 + [1] * 3, "test": 70},
            "enough rows for the sizes asked for.*leaves 1 row",
        ),
        ({"stratify": [None, *LABELS[1:]]}, "none may be missing.*1 of 100 missing"),
        ({"stratify": [np.nan, *[1.0] * 99]}, "none may be missing.*1 of 100 missing"),
        (
            {"stratify": pd.Series([pd.NA, *[1] * 99], dtype="Int64")},
            "none may be missing.*1 of 100 missing",
        ),
        (
            {"groups": pd.Series([pd.NaT, *DAYS[:99]])},
            "none may be missing.*groups with 1 of 100 missing",
        ),
    ],
)
def test_refuses_what_makes_no_split(arguments, words):
    with pytest.raises(ValueError, match=words):
        split(**{"data": 100, **arguments})


def test_refuses_groups_that_leave_a_part_without_rows():
    people = np.repeat([1, 2, 3], [50, 49, 1])
    with pytest.raises(ValueError, match="validation part .* groups that are larger"):
        split(100, groups=people, test=0.2, validation=1, seed=3)


@pytest.mark.parametrize("name", ["stratify", "groups", "order"])
def test_labels_of_the_rows_in_another_order_are_refused(name):
    table, back = pd.DataFrame({"a": PEOPLE}), pd.Series(PEOPLE // 4)[::-1]
    with pytest.raises(ValueError, match=f"^`{name}` belongs to the rows of `data`"):
        split(table, **{name: back})
    split(table, **{name: back.to_numpy()})


@pytest.mark.parametrize("name", ["stratify", "groups", "order"])
def test_masked_entries_are_missing(name):
    masked = np.ma.array(np.arange(60) // 15, mask=np.arange(60) < 4)
    with pytest.raises(ValueError, match=f"`{name}` .* with 4 of 60 missing"):
        split(60, **{name: masked})


@pytest.mark.parametrize("data", ["abc", b"abc", {1, 2, 3}])
def test_what_has_a_length_but_no_rows_is_refused(data):
    kind = type(data).__name__
    with pytest.raises(
        ValueError, match=f"`data` holds .*Received: data of type {kind}"
    ):
        split(data, validation=1, test=1)
