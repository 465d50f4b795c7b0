"""Data are told apart by their values: a search on other data is another search."""

import decimal
import time

import keras
import numpy as np
import pytest
from searching import searcher

from keras_trainkit import tuners
from keras_trainkit.tuners import _study_agreement
from keras_trainkit.tuners._data_description import data_description, fingerprint

Searcher = searcher(tuners.RandomSearch, lambda hp: hp.Float("x", 0, 1))
ROWS = np.arange(12.0).reshape(6, 2)


class Object:
    """Says another thing of itself in every process."""


def changed(array):
    other = np.array(array)
    other[-1] = other[0]
    return other


def frame(values):
    pandas = pytest.importorskip("pandas")
    columns = {"a": values[:, 0], "b": [f"text {value}" for value in values[:, 1]]}
    return pandas.DataFrame(columns).astype({"b": "category"})


def arrow(values):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.table({"a": values[:, 0], "b": [str(v) for v in values[:, 1]]})


def sparse(values):
    return pytest.importorskip("scipy.sparse").csr_matrix(values)


KINDS = {
    "array": lambda v: v,
    "tensor": keras.ops.convert_to_tensor,
    "half": lambda v: v.astype("float16"),
    "objects": lambda v: v.astype(object),
    "texts": lambda v: v.astype(str),
    "times": lambda v: v.astype("datetime64[D]"),
    "rows in a list": lambda v: v.tolist(),
    "arrays in a list": lambda v: [np.zeros(3), v],
    "dict": lambda v: {"b": v, "a": np.zeros(6)},
    "decimals": lambda v: [decimal.Decimal(str(n)) for n in v.ravel()],
    "pandas": frame,
    "a column of pandas": lambda v: frame(v)["b"],
    "pyarrow": arrow,
    "a batch of rows of pyarrow": lambda v: arrow(v).to_batches()[0],
    "sparse": sparse,
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_equal_values_are_the_same_data_and_others_are_not(make):
    first, again, other = (
        fingerprint(make(v)) for v in (ROWS, ROWS * 1, changed(ROWS))
    )
    assert first == again != other
    assert len(first) == 24


def test_names_places_and_types_count():
    pairs = [
        ({"a": ROWS}, {"b": ROWS}),
        ([ROWS, 1 - ROWS], [1 - ROWS, ROWS]),
        (ROWS, ROWS.reshape(4, 3)),
        ([1.0], ["1.0"]),
        (["ab", "c"], ["a", "bc"]),
    ]
    for first, second in pairs:
        assert fingerprint(first) != fingerprint(second)


def test_the_index_of_a_table_does_not():
    table = frame(ROWS)
    assert fingerprint(table) == fingerprint(table.set_index(table.index + 7))


def test_an_index_of_numbers_in_any_order_is_no_row_number():
    """Before pandas 3 slices of a column with such an index were of labels."""
    table = frame(ROWS)
    shuffled = table.set_index(np.random.default_rng(0).permutation(len(table)) / 2)
    assert fingerprint(shuffled) == fingerprint(table)
    assert fingerprint(shuffled["b"]) == fingerprint(table["b"])


def test_what_tells_nothing_is_no_reason_to_refuse():
    assert fingerprint(None) is None
    assert fingerprint(value for value in ROWS) is None
    objects = [fingerprint(np.array([Object(), 1.0], dtype=object)) for _ in range(2)]
    assert objects[0] == objects[1]


class Batches(keras.utils.PyDataset):
    """As many batches as it is told."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        raise AssertionError("nothing is read")


def test_of_sets_that_are_read_batch_by_batch_the_numbers_count():
    tf = pytest.importorskip("tensorflow")
    sets = [
        tf.data.Dataset.from_tensor_slices(ROWS).shuffle(6).batch(n) for n in (2, 3)
    ]
    assert fingerprint(sets[0]) == fingerprint(sets[0]) != fingerprint(sets[1])
    assert fingerprint(Batches(3)) == fingerprint(Batches(3)) != fingerprint(Batches(4))
    data = pytest.importorskip("torch").utils.data
    tensors = pytest.importorskip("torch").from_numpy
    loaders = [
        data.DataLoader(data.TensorDataset(tensors(v)), batch_size=2, shuffle=True)
        for v in (ROWS, ROWS * 1, changed(ROWS))
    ]
    first, again, other = map(fingerprint, loaders)
    assert first == again != other


def test_a_million_rows_take_50_ms_at_most():
    rows = np.random.default_rng(0).normal(size=(1_000_000, 20)).astype("float32")
    times = []
    for _ in range(5):
        start = time.process_time()
        fingerprint(rows)
        times.append(time.process_time() - start)
    assert min(times) < 0.05
    assert fingerprint(rows) != fingerprint(rows[::-1])


CHANGES = {
    "x": ((ROWS + 1, ROWS[:, 0]), {}),
    "y": ((ROWS, ROWS[:, 1]), {}),
    "validation_data": ((ROWS, ROWS[:, 0]), {"validation_data": (ROWS, ROWS[:, 1])}),
    "sample_weight": ((ROWS, ROWS[:, 0]), {"sample_weight": 2 * np.ones(6)}),
}


@pytest.mark.first_quick
@pytest.mark.parametrize("name", CHANGES)
def test_a_search_on_other_data_of_the_same_shape_is_refused(name, tmp_path):
    same = {"validation_data": (ROWS, ROWS[:, 0]), "sample_weight": np.ones(6)}
    options = {"max_trials": 2, "seed": 1, "directory": tmp_path}
    Searcher(**options).search(ROWS, ROWS[:, 0], verbose=0, **same)
    Searcher(**options).search(ROWS * 1, y=ROWS[:, 0], verbose=0, **same)
    args, kwargs = CHANGES[name]
    with pytest.raises(ValueError, match=f"Received: other values of {name}.$"):
        Searcher(**options).search(*args, verbose=0, **{**same, **kwargs})


def test_a_study_of_an_earlier_release_goes_on(tmp_path):
    tuner = Searcher(max_trials=2, seed=1, directory=tmp_path)
    shapes = {"epochs": None, "x": [6, 2], "y": [6]}
    tuner.study.set_user_attr("data", shapes)
    tuner.search(ROWS, ROWS[:, 0], verbose=0)
    assert tuner.study.user_attrs["data"] == shapes
    with pytest.raises(ValueError, match=r"with x=\[6, 2\]"):
        tuner.search(ROWS.T, ROWS[:, 0], verbose=0)


def test_a_search_says_how_many_trials_were_there_already(tmp_path, capsys):
    options = {"seed": 1, "directory": tmp_path}
    Searcher(max_trials=2, **options).search()
    assert "already" not in capsys.readouterr().out
    Searcher(max_trials=3, **options).search()
    first, *_ = capsys.readouterr().out.splitlines()
    assert first == (
        f"Search: 2 of the trials were there already, in {tmp_path / 'search'}"
    )
    Searcher(max_trials=3, **options).search(verbose=0)
    assert capsys.readouterr().out == ""


def test_another_validation_split_is_another_search(tmp_path):
    Searcher(max_trials=1, directory=tmp_path).search(
        ROWS, ROWS, validation_split=0.2, verbose=0
    )
    with pytest.raises(ValueError, match=r"=0.2; .* Received: validation_split=0.5"):
        Searcher(max_trials=2, directory=tmp_path).search(
            ROWS, ROWS, validation_split=0.5, verbose=0
        )


def test_a_study_that_names_no_validation_split_goes_on(tmp_path, monkeypatch):
    def earlier(args, kwargs):
        told, values = data_description(args, kwargs)
        del told["validation_split"]
        return told, values

    with monkeypatch.context() as patch:
        patch.setattr(_study_agreement, "data_description", earlier)
        Searcher(max_trials=1, directory=tmp_path).search(
            ROWS, ROWS, validation_split=0.2, verbose=0
        )
    tuner = Searcher(max_trials=2, directory=tmp_path)
    tuner.search(ROWS, ROWS, validation_split=0.2, verbose=0)
    assert len(tuner.oracle.trials) == 2


OTHERS = {
    "epochs": (np.int64(3), 4),
    "batch_size": (np.int32(8), 16),
    "steps_per_epoch": (5, 6),
    "class_weight": ({0: 1.0, np.int64(1): np.float32(0.5)}, {0: 1.0, 1: 9.0}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_trials_of_one_search_are_all_trained_alike(name, tmp_path):
    options = {"max_trials": 2, "seed": 1, "directory": tmp_path}
    before, after = OTHERS[name]
    Searcher(**options).search(ROWS, ROWS[:, 0], verbose=0, **{name: before})
    Searcher(**options).search(ROWS, ROWS[:, 0], verbose=0, **{name: before})
    with pytest.raises(ValueError, match=f"begun as, with {name}=.*Received: {name}="):
        Searcher(**options).search(ROWS, ROWS[:, 0], verbose=0, **{name: after})


def test_a_folder_of_another_name_is_told_its_old_one(tmp_path):
    Searcher(max_trials=1, directory=tmp_path, project_name="houses")
    (tmp_path / "houses").rename(tmp_path / "flats")
    words = "`project_name` .*keep its name, 'houses'. .*project_name='flats'"
    with pytest.raises(ValueError, match=words):
        Searcher(max_trials=1, directory=tmp_path, project_name="flats")


@pytest.mark.parametrize(
    ("method", "argument"),
    [
        ("get_best_models", "num_models"),
        ("get_best_hyperparameters", "num_trials"),
        ("results_summary", "num_trials"),
    ],
)
@pytest.mark.parametrize("number", [-1, 1.5, "2"])
def test_the_best_are_counted_in_whole_numbers(method, argument, number, tmp_path):
    tuner = Searcher(max_trials=3, seed=1, directory=tmp_path)
    tuner.search(verbose=0)
    with pytest.raises(ValueError, match=f"`{argument}` is how many .*={number!r}"):
        getattr(tuner, method)(number)
    assert len(tuner.get_best_hyperparameters(2)) == 2
