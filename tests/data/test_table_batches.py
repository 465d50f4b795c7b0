import datetime
import decimal
import fractions
import gc
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from comparing import assert_close, assert_equal

from keras_trainkit import callbacks, layers, models, optimizers
from keras_trainkit.data import TableBatches, _ordered_batches, _row_store

TOWNS = np.array(["Ulm", "Bonn", "Kiel"])


def table_of(rows=1000):
    rng = np.random.default_rng(3)
    x = rng.normal(size=rows)
    town = rng.integers(3, size=rows)
    return pd.DataFrame(
        {
            "row": np.arange(rows),
            "x": x,
            "town": TOWNS[town],
            "bought": np.where(x + town > 1, "yes", "no"),
            "price": 10 * x + town,
            "importance": rng.random(rows),
        }
    )


FRAME = table_of()


def chunks(frame=FRAME, rows=70):
    return (frame[start : start + rows] for start in range(0, len(frame), rows))


def row_numbers(table):
    return np.asarray(table["row"])


def batches_of(table=FRAME, target=None, **arguments):
    arguments = {"batch_size": 48, **arguments}
    return TableBatches(table, row_numbers, target, **arguments)


def order(batches):
    return [x.tolist() for (x,) in batches]


def joined(batches):
    return np.concatenate([x for (x,) in batches])


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(_row_store, "BLOCK_BYTES", 1000)  # 125 rows of one int64


# What an epoch consists of


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_has_every_row_once_and_a_smaller_batch_at_its_end(shuffle):
    batches = batches_of(chunks(), shuffle=shuffle)
    assert (len(batches), batches.num_rows) == (21, 1000)
    assert [len(x) for (x,) in batches] == [48] * 20 + [40]
    assert_equal(np.sort(joined(batches)), np.arange(1000))


def test_without_shuffling_rows_come_as_in_the_table(small_blocks):
    assert_equal(joined(batches_of(chunks(), shuffle=False)), np.arange(1000))


@pytest.mark.parametrize("seed", [0, 7])
def test_seed_and_epoch_alone_decide_the_order(small_blocks, seed):
    first = batches_of(chunks(rows=70), seed=seed)
    for epoch in range(3):
        again = batches_of(chunks(rows=333), seed=seed)
        first.epoch = again.epoch = epoch
        assert order(again) == order(first)


def test_other_seeds_and_epochs_make_other_batches(small_blocks):
    orders = []
    for seed in (0, 1, None, None):
        batches = batches_of(chunks(), seed=seed)
        for batches.epoch in (0, 1):
            orders.append({frozenset(batch) for batch in order(batches)})
    for number, one in enumerate(orders):
        assert not any(one & other for other in orders[:number])


@pytest.mark.parametrize("number", [0, 5, 20])
def test_a_batch_may_be_asked_for_at_any_time(number):
    batches = batches_of(chunks())
    expected = order(batches)
    assert [batches[number][0].tolist() for _ in range(2)] == [expected[number]] * 2


def test_there_is_no_batch_beyond_the_last():
    with pytest.raises(IndexError, match="21 batches. Received: 21"):
        batches_of()[21]


def test_a_sorted_table_gives_batches_as_mixed_as_drawn_ones(small_blocks):
    # 8192 rows, a quarter of ones at the end, batches of 64: a drawn batch has a
    # share of 0.25 with the deviation sqrt(0.25 * 0.75 / 64) = 0.054.
    table = {"row": np.arange(8192) >= 6144}
    batches = batches_of(table, batch_size=64)
    for batches.epoch in (0, 1, 2):
        shares = [x.mean() for (x,) in batches]
        assert len(shares) == 128
        assert np.std(shares) == pytest.approx(0.054, rel=0.25)


def test_neighbours_on_disk_come_from_everywhere(small_blocks):
    numbers = joined(batches_of({"row": np.arange(8000)}, batch_size=160))
    assert abs(np.corrcoef(numbers, np.arange(8000))[0, 1]) < 0.04
    # The mean distance of two rows drawn at random is a third of the range.
    assert np.abs(np.diff(numbers)).mean() == pytest.approx(8000 / 3, rel=0.05)


# What is in a batch


@pytest.mark.parametrize(
    ("column", "labels", "expected", "dtype"),
    [
        ([3, 5], None, [3, 5], "int32"),
        ([3, 2**40], None, [3, 2**40], "float32"),
        ([3, 0.5], None, [3, 0.5], "float32"),
        ([True, False], None, [1, 0], "int32"),
        (pd.array([3, 5], "Int64"), None, [3, 5], "int32"),
        (["b", "a"], {"a": 4, "b": 9}, [9, 4], "int32"),
        (pd.Categorical(["b", "a"]), {"a": 4, "b": 9}, [9, 4], "int32"),
        ([20, 10], {10: 0.25, 20: 0.5}, [0.5, 0.25], "float32"),
    ],
)
def test_targets_are_whole_or_floating_numbers(column, labels, expected, dtype):
    table = pd.DataFrame({"row": [0, 1], "y": column})
    for data in (table, [table[:1], table[1:]]):
        batches = batches_of(data, "y", labels=labels, shuffle=False)
        ((_, y),) = list(batches)
        assert y.dtype == dtype
        assert_equal(y, np.array(expected, dtype))


def with_targets(targets, weights=None):
    columns = {"row": [0, 1, 2], "y": targets}
    named = {} if weights is None else {"sample_weight": "w"}
    table = columns | ({} if weights is None else {"w": weights})
    batches = batches_of(table, "y", shuffle=False, batch_size=3, **named)
    return list(batches)[0][1:]


ARROW = pd.ArrowDtype


@pytest.mark.parametrize(
    ("targets", "dtype", "expected"),
    [
        (["1", "0", "2"], "decimal128(9, 0)", [1, 0, 2]),
        (["1.5", "0", "2"], "decimal128(9, 2)", [1.5, 0, 2]),
        (["1.00", "0.00", "2.00"], "decimal128(9, 2)", [1.0, 0.0, 2.0]),
        ([1, 0, 2], "int8", [1, 0, 2]),
        ([True, False, True], "bool", [1, 0, 1]),
    ],
)
def test_targets_may_be_of_arrows_types(targets, dtype, expected):
    kind = dtype.partition("(")[0]
    arguments = [int(n) for n in re.findall(r"\d+", dtype.partition("(")[2])]
    names = {"bool": pa.bool_, "int8": pa.int8, "decimal128": pa.decimal128}
    values = list(map(decimal.Decimal, targets)) if arguments else targets
    column = pd.Series(values, dtype=ARROW(names[kind](*arguments)))
    (read,) = with_targets(column)
    whole = all(isinstance(value, int) for value in expected)
    assert read.dtype == ("int32" if whole else "float32")
    assert read.tolist() == expected


@pytest.mark.parametrize(
    ("targets", "dtype"),
    [
        ([1, 0, 2], "int32"),
        ([True, False, True], "int32"),
        ([np.True_, 0, np.int8(2)], "int32"),
        ([decimal.Decimal(1), 0, decimal.Decimal("2E+1")], "int32"),
        ([1.0, 0.0, 2.0], "float32"),
        ([1, 0, 2.0], "float32"),
        ([decimal.Decimal("1.0"), 0, 2], "float32"),
        ([fractions.Fraction(1, 2), 0, 2], "float32"),
        ([2**31, 0, 2], "float32"),
    ],
)
@pytest.mark.parametrize("container", ["list", "array", "series", "category"])
def test_targets_and_weights_that_are_objects_are_what_they_are(
    targets, dtype, container
):
    if container == "category":
        column = pd.Series(targets, dtype=object).astype("category")
    else:
        made = np.empty(3, object)
        made[:] = targets
        column = {"list": targets, "array": made, "series": pd.Series(made)}[container]
    read, weights = with_targets(column, column)
    if container != "category" and container != "list":  # which have one type for all
        assert read.dtype == dtype
    assert read.tolist() == [float(value) for value in targets]
    assert weights.dtype == "float32"
    assert weights.tolist() == [float(value) for value in targets]


@pytest.mark.parametrize(
    "missing", [None, pd.NA, float("nan"), decimal.Decimal("sNaN"), pd.NaT]
)
def test_missing_targets_and_weights_are_counted_whatever_stands_for_them(missing):
    made = np.empty(3, object)
    made[:] = [1, missing, decimal.Decimal(2)]
    with pytest.raises(ValueError, match="`target` .* with 1 of 3 missing"):
        with_targets(made)
    with pytest.raises(ValueError, match="`sample_weight` .* with 1 of 3 missing"):
        with_targets([1, 2, 3], made)


def test_masked_targets_are_missing():
    with pytest.raises(ValueError, match="`target` .* with 1 of 3 missing"):
        with_targets(np.ma.array([1, 2, 3], mask=[False, True, False]))


@pytest.mark.parametrize("targets", [[10**400, 1, 2], [decimal.Decimal("1e400"), 1, 2]])
def test_targets_beyond_float64_are_infinite(targets):
    with pytest.raises(ValueError, match="`target` .* finite. Received: 1 infinite"):
        with_targets(np.array(targets, object))


def frame_of(y, weights=1.0):
    return pd.DataFrame({"row": range(len(y)), "y": y, "w": weights})


@pytest.mark.parametrize("targets", [[1e39, 1.5, 2], [1e300, -1e300, 2]])
def test_targets_that_become_infinite_are_refused(targets):
    number = sum(abs(value) > 3.5e38 for value in targets)
    words = f"`target` .* finite. Received: {number} infinite ones, or too large"
    with pytest.raises(ValueError, match=words):
        with_targets(np.array(targets))


@pytest.mark.parametrize("rows", [3, 40, 100])
@pytest.mark.parametrize("start", [1e9 + 0.5, 2**31, 2**60])
def test_targets_that_become_one_value_are_refused_however_cut(start, rows):
    numbers = np.arange(100) + start if start % 1 else np.arange(100) + int(start)
    table = frame_of(numbers)
    with pytest.raises(ValueError, match="^`target` is what .* must differ .* float32"):
        batches_of(chunks(table, rows), "y")


def test_targets_that_the_float_of_keras_tells_apart_pass():
    batches_of(frame_of(np.arange(100) + 10**7), "y")
    batches_of(frame_of(np.full(100, 1e9 + 0.1)), "y")
    batches_of(chunks(frame_of(1e9 + 1e6 * np.arange(100.0)), 7), "y")


@pytest.mark.parametrize(
    ("weight", "words"),
    [(1e300, "finite. Received: 1 infinite"), (1e-300, "1 that become 0, such as 1e")],
)
def test_weights_that_float32_does_not_hold_are_refused(weight, words):
    table = frame_of([1, 2, 3], [1, weight, 1])
    with pytest.raises(ValueError, match=f"^`sample_weight` weighs .*{words}"):
        batches_of(table, "y", sample_weight="w")


@pytest.mark.parametrize("value", [np.inf, 1e39])
def test_inputs_that_become_infinite_are_refused(value):
    with pytest.raises(ValueError, match="^`encoder` .*finite. Received: 3 infinite"):
        TableBatches(frame_of([1, 2, 3]), lambda chunk: np.full((3, 2), [1, value]))


def test_columns_with_their_labels_in_another_order_are_refused():
    table = frame_of([1, 2, 3])
    columns = {"row": table["row"], "y": table["y"][::-1]}
    with pytest.raises(ValueError, match="one order in all columns.*another .* in 'y'"):
        batches_of(columns, "y")
    batches_of({"row": table["row"], "y": table["y"][::-1].to_numpy()}, "y")


def test_entries_that_cannot_be_labels_are_shown():
    made = np.empty(3, object)
    made[:] = [[1], [1], [2]]
    with pytest.raises(ValueError, match=r"`labels` .* such as \[1\]"):
        batches_of({"row": [0, 1, 2], "y": made}, "y", labels={1: 0})


def test_whole_targets_become_floats_where_a_later_chunk_has_a_fraction():
    rows = [{"row": [0], "y": [decimal.Decimal(value)]} for value in ("1", "2.5")]
    assert [y.dtype for _, y in batches_of(rows, "y")] == ["float32"]


def arrow_table():
    columns = {name: FRAME[name].tolist() for name in ("row", "town", "price")}
    table = pa.table(columns)
    return table.set_column(1, "town", table["town"].dictionary_encode())


@pytest.mark.parametrize(
    "table",
    [
        arrow_table,
        lambda: arrow_table().to_batches(max_chunksize=70),
        lambda: arrow_table().to_batches()[0],
        lambda: arrow_table().to_reader(),
    ],
)
def test_tables_and_batches_of_rows_of_arrow_are_read(table):
    labels = {"Ulm": 3, "Bonn": 5, "Kiel": 8}
    for target, given in (("price", None), ("town", labels)):
        batches = batches_of(table(), target, labels=given, shuffle=False)
        x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
        assert_equal(x, FRAME["row"])
        expected = FRAME[target] if given is None else FRAME[target].map(labels)
        assert_close(y, np.float32(expected))


def test_columns_of_an_arrow_table_are_named_where_the_target_is_none():
    words = r"one of \['row', 'town', 'price'\]. Received: target='cost'"
    with pytest.raises(ValueError, match=words):
        batches_of(arrow_table(), "cost")


def test_a_null_of_arrows_dictionary_is_a_missing_target():
    town = pa.chunked_array([pa.array(["Ulm", None]).dictionary_encode()])
    with pytest.raises(ValueError, match="target with 1 of 2 missing"):
        batches_of({"row": [0, 1], "town": town}, "town", labels={"Ulm": 3})


def test_a_table_that_has_not_read_its_rows_is_refused():
    lazy = pytest.importorskip("polars").DataFrame({"row": [0, 1]}).lazy()
    for table in (lazy, [lazy]):
        with pytest.raises(ValueError, match="`table` .*collect.*LazyFrame"):
            batches_of(table)


def test_features_of_arrows_types_go_through_an_encoder():
    days = [datetime.date(2020, 1, 1), None, datetime.date(2020, 1, 3)]
    frame = pd.DataFrame(
        {
            "day": pd.Series(days, dtype=ARROW(pa.date32())),
            "cut": pd.cut([1.0, 2.0, np.nan], [0, 1.5, 3]),
            "y": pd.Series(["1", "0", "1"], dtype=ARROW(pa.decimal128(5, 0))),
        }
    )
    encoder = layers.TableEncoder(scaling=None, missing="fill")
    encoder.adapt(frame[["day", "cut"]])
    ((x, y),) = TableBatches(frame, encoder, "y", shuffle=False)
    assert x["numeric"][:, 0].tolist() == [18262, 18263, 18264]  # days since 1970
    assert x["categorical"].ravel().tolist() == [2, 3, 0]
    assert (y.dtype, y.tolist()) == ("int32", [1, 0, 1])


def test_rows_stay_together_with_their_target_and_weight(small_blocks):
    batches = batches_of(chunks(), "price", sample_weight="importance")
    for row, price, weight in batches:
        assert_close(price, FRAME["price"][row], rtol=1e-6)
        assert_close(weight, FRAME["importance"][row], rtol=1e-6)
        assert {price.dtype, weight.dtype} == {np.dtype("float32")}


@pytest.mark.parametrize(
    "table",
    [FRAME, dict(FRAME), [FRAME[:0], FRAME[:3], FRAME[3:]], chunks()],
    ids=["frame", "dict", "list", "generator"],
)
def test_tables_come_whole_or_in_chunks(table):
    assert_equal(joined(batches_of(table, shuffle=False)), np.arange(1000))


def test_the_encoder_sees_neither_target_nor_weights():
    seen = []

    def encoder(table):
        seen.append(list(table))
        return row_numbers(table)

    for table in (FRAME, dict(FRAME)):
        TableBatches(table, encoder, "price", sample_weight="importance")
    assert seen == [["row", "x", "town", "bought"]] * 2


def test_the_structure_of_what_the_encoder_gives_is_kept():
    def encoder(table):
        row = row_numbers(table)
        square = np.stack([row, row], axis=1)[:, :, None] / 8
        return {"b": (row > 4, square), "a": np.zeros((len(row), 0), "int32")}

    ((x, y),) = TableBatches(FRAME[:9], encoder, "price", shuffle=False)
    assert (x["a"].shape, x["a"].dtype) == ((9, 0), "int32")
    assert_equal(x["b"][0], np.arange(9) > 4)
    assert x["b"][1].dtype == keras.config.floatx()  # as `fit` does with arrays
    assert_equal(x["b"][1][:, 1, 0], np.arange(9) / 8)
    assert all(array.flags.c_contiguous for array in (x["a"], *x["b"], y))


# Training


def two_numbers(table):
    return np.stack([table["x"], table["importance"]], axis=1)


def training_batches(encoder=two_numbers, target="price", rows=320, **arguments):
    arguments = {"batch_size": 64, **arguments}
    return TableBatches(chunks(FRAME[:rows]), encoder, target, **arguments)


def line(seed=4):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizers.AdamW(0.1), "mse", weighted_metrics=[])
    return model


def arrays_of(batches):
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)


def assert_same_weights(came, expected, **tolerances):
    for one, other in zip(came.weights, expected.weights, strict=True):
        assert_close(one.numpy(), other.numpy(), **tolerances)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("weight", [None, "importance"])
def test_fit_sees_in_each_epoch_what_the_batches_of_that_epoch_hold(weight):
    batches = training_batches(sample_weight=weight, encoder=lambda t: t[["x", "row"]])
    came, expected = line(), line()
    for batches.epoch in range(3):
        x, y, *weights = arrays_of(batches)
        expected.fit(x, y, 64, 1, 0, shuffle=False, sample_weight=(*weights, None)[0])
    batches.epoch = 0
    came.fit(batches, epochs=3, shuffle=False, verbose=0)
    assert batches.epoch == 3
    assert_same_weights(came, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_members_on_encoded_columns_learn_with_validation_and_one_cycle():
    encoder = layers.TableEncoder()
    encoder.adapt(chunk[["x", "town"]] for chunk in chunks())
    arguments = {"target": "bought", "labels": {"no": 0, "yes": 1}, "rows": 1000}
    arguments["encoder"] = lambda table: encoder(table[["x", "town"]])
    batches = training_batches(**arguments)
    held_out = training_batches(**arguments, shuffle=False)
    model = models.mlp((1,), 1, (5,), category_sizes=(5,), members=2, task="binary")
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizers.AdamW(), loss)
    one_cycle = callbacks.OneCycle(0.05)
    history = model.fit(
        batches, validation_data=held_out, epochs=4, callbacks=[one_cycle], verbose=0
    )
    assert one_cycle.learning_rate.total_steps == 4 * 16
    losses = history.history["val_loss"]
    assert len(losses) == 4 and losses[-1] < 0.5 * losses[0]


def test_evaluate_and_predict_go_through_the_table_in_its_order():
    batches, model = training_batches(shuffle=False, rows=300), line()
    x, y = arrays_of(batches)
    assert_close(model.predict(batches, verbose=0), model.predict(x, 64, 0), rtol=1e-6)
    came = model.evaluate(batches, verbose=0)
    assert came == pytest.approx(model.evaluate(x, y, 64, 0), rel=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_class_weights_count():
    batches = training_batches(target="bought", labels={"no": 0, "yes": 1})
    came, expected = line(), line()
    x, y = arrays_of(batches)
    weights = {0: 1.0, 1: 3.0}
    came.fit(batches, shuffle=False, class_weight=weights, verbose=0)
    expected.fit(x, y, 64, 1, 0, shuffle=False, sample_weight=1.0 + 2 * y)
    assert_same_weights(came, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_a_resumed_run_ends_with_the_same_weights(tmp_path):
    whole, half = line(), line()
    whole.fit(training_batches(), epochs=4, shuffle=False, verbose=0)
    half.fit(training_batches(), epochs=2, shuffle=False, verbose=0)
    half.save(tmp_path / "halfway.keras")
    loaded = keras.saving.load_model(tmp_path / "halfway.keras")
    batches = training_batches()
    batches.epoch = 2
    loaded.fit(batches, initial_epoch=2, epochs=4, shuffle=False, verbose=0)
    for one, other in zip(loaded.weights, whole.weights, strict=True):
        assert_equal(one.numpy(), other.numpy())


@pytest.mark.usefixtures("eagerly")
def test_parts_of_an_epoch_add_up_to_one():
    batches = training_batches(batch_size=20)  # 16 of them
    came, expected = line(), line()
    for batches.epoch in range(3):
        x, y = arrays_of(batches)
        expected.fit(x, y, 20, 1, 0, shuffle=False)
    batches.epoch = 0
    came.fit(batches, steps_per_epoch=4, epochs=12, shuffle=False, verbose=0)
    assert batches.epoch >= 3  # TensorFlow reads ahead
    assert_same_weights(came, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_a_fit_begins_anew_after_one_that_ended_within_an_epoch():
    batches, expected = training_batches(), training_batches()  # 5 of them
    line().fit(batches, steps_per_epoch=3, shuffle=False, verbose=0)
    expected.epoch = batches.epoch
    came, other = line(), line()
    other.fit(expected, shuffle=False, verbose=0)
    came.fit(batches, shuffle=False, verbose=0)
    assert batches.epoch == expected.epoch
    assert_same_weights(came, other, rtol=1e-5, atol=1e-6)


def test_a_thread_that_reads_ahead_goes_on_to_the_next_epoch_after_the_last_batch(
    monkeypatch,
):
    monkeypatch.setattr(_ordered_batches, "name_of_fit", lambda: "one fit")
    batches, expected = training_batches(), training_batches()  # 5 of them
    expected.epoch = 1
    with ThreadPoolExecutor(1) as thread:

        def read(numbers):
            return list(thread.map(batches.__getitem__, numbers))

        batches.on_epoch_begin()
        read(range(3))
        batches.on_epoch_end()
        read([3, 4])  # before the next part begins
        ahead = read([0, 1])
        batches.on_epoch_begin()
        ahead += read([2, 3, 4])
        assert batches.epoch == 1
        batches.on_epoch_end()
        assert batches.epoch == 2
    for one, other in zip(ahead, expected, strict=True):
        assert_equal(one[1], other[1])


def test_looking_at_batches_does_not_go_on_to_the_next_epoch():
    batches = training_batches()
    first = arrays_of(batches)
    batches.on_epoch_end()  # as `fit` does once before it begins
    batches.on_epoch_begin()
    assert_equal(arrays_of(batches)[1], first[1])
    batches.on_epoch_end()
    assert batches.epoch == 1
    assert arrays_of(batches)[1].tolist() != first[1].tolist()


# Layers that learn before the model


def test_an_embedding_learns_from_encoded_chunks_or_from_batches():
    encoder = layers.TableEncoder()
    encoder.adapt(FRAME[["x", "price"]])
    whole = layers.PiecewiseLinearEmbedding(bins=7)
    frame = FRAME[["x", "price"]]
    whole.adapt(encoder(frame)["numeric"])
    for data in (
        (encoder(chunk)["numeric"] for chunk in chunks(frame)),
        (x["numeric"] for (x,) in TableBatches(chunks(frame), encoder)),
    ):
        layer = layers.PiecewiseLinearEmbedding(bins=7)
        layer.adapt(data)
        assert_close(layer.edges, whole.edges, rtol=1e-6)


def test_a_target_scaling_learns_from_chunks():
    scaling = layers.StandardScaling()
    scaling.adapt(chunk[["price"]] for chunk in chunks())
    assert_close(scaling.center, [FRAME["price"].mean()], rtol=1e-5)


def test_a_scaling_learns_from_batches_of_arrays():
    batches = TableBatches(chunks(), lambda t: t[["x", "price"]].to_numpy(), "bought",
                           labels={"no": 0, "yes": 1})  # fmt: skip
    scaling = layers.StandardScaling()
    scaling.adapt(batches)
    assert_close(scaling.center, FRAME[["x", "price"]].mean(), rtol=1e-5)


# The file


def test_the_file_has_no_name_and_goes_with_the_batches(tmp_path):
    batches = batches_of(directory=tmp_path)
    assert not list(tmp_path.iterdir())
    file = batches._file._file
    del batches
    gc.collect()
    assert file.closed


def test_what_is_held_while_reading_does_not_grow_with_the_table(small_blocks):
    largest = 0

    class Watched(_row_store.RowFile):
        def append(self, records):
            nonlocal largest
            largest = max(largest, records.nbytes)
            super().append(records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_row_store, "RowFile", Watched)
        batches = batches_of({"row": np.arange(6000)} for _ in range(3))
    assert batches.num_rows == 18_000
    assert largest <= 2 * 1000


def test_batches_cannot_be_sent_to_other_processes():
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(batches_of())


# What is refused


def two(first, second):
    return [
        pd.DataFrame({"row": [0], "y": [value], "z": [1]}) for value in (first, second)
    ]


def widening(table):
    return np.zeros((len(table["row"]), 1 + table["row"].iloc[0]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"table": []}, "at least one row. Received: none"),
        ({"table": FRAME[:0]}, "at least one row. Received: none"),
        ({"table": "file.csv"}, "must be a DataFrame.*Received: str"),
        ({"table": np.zeros((3, 2))}, "must be a DataFrame.*Received: ndarray"),
        ({"table": [np.zeros((3, 2))]}, "must be a DataFrame.*Received: ndarray"),
        ({"encoder": None}, "must be a function.*Received: encoder=None"),
        ({"encoder": lambda t: t["town"]}, "must give numbers.*shape"),
        ({"encoder": lambda t: np.zeros((3, 1))}, r"each of its 1000 rows.*\(3, 1\)"),
        (
            {"encoder": widening, "table": [FRAME[:1], FRAME[2:9]]},
            "same ones, of the same types and shapes.*Received",
        ),
        ({"target": 3}, "names a column .* Received: target=3"),
        ({"target": "cost"}, "`target` .* one of .'row', .* target='cost'"),
        ({"target": "price", "sample_weight": "w"}, "sample_weight='w'"),
        ({"target": "price", "sample_weight": "price"}, "another column than"),
        ({"labels": {"a": 0}}, "must be None without one. Received: labels={'a': 0}"),
        ({"sample_weight": "x"}, "must be None without one.*sample_weight='x'"),
        ({"target": "bought"}, "number in each row, or `labels`.*such as 'yes'|'no'"),
        (
            {"target": "bought", "labels": {"yes": 1}},
            r"must know all. Received: \d+ rows of others, such as 'no'",
        ),
        ({"target": "bought", "labels": ["no", "yes"]}, "must be a dict"),
        ({"target": "bought", "labels": {"no": "0"}}, "number of each entry.*'0'"),
        ({"target": "y", "table": two(1.0, None)}, "none may be missing"),
        ({"target": "y", "table": two(1.0, np.inf)}, "finite. Received: 1 infinite"),
        (
            {"target": "z", "sample_weight": "y", "table": two(1.0, -0.5)},
            "weighs the rows.*at least 0.*Received: -0.5",
        ),
        (
            {"target": "z", "sample_weight": "y", "table": two("a", "b")},
            "weighs the rows.*must hold a number",
        ),
        ({"batch_size": 0}, "rows per batch.*batch_size=0"),
        ({"shuffle": 1}, "True or False. Received: shuffle=1"),
        ({"seed": -1}, "repeatable.*seed=-1"),
    ],
)
def test_refuses_what_makes_no_batches(arguments, words):
    with pytest.raises(ValueError, match=words):
        TableBatches(**{"table": FRAME, "encoder": row_numbers, **arguments})
