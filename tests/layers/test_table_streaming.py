"""Chunks, their cuts and the order of rows do not show in what was learned."""

import numpy as np
import pandas as pd
import pytest
from table_limits import set_limits

from keras_trainkit._tables import column_learner
from keras_trainkit.layers import TableEncoder


def table_of(rows=500):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "x": rng.lognormal(3, 2, rows),
            "count": pd.array(rng.poisson(2, rows), "Int64"),
            "town": rng.choice(["a", "b", "c", "d", "e"], rows),
            "yes": pd.array(rng.random(rows) < 0.5, "boolean"),
            "at": np.datetime64("2021-03-01T07", "s") + 9999 * np.arange(rows),
            "zip": rng.integers(0, 40, rows) * 1.5,
        }
    )
    for name in frame:
        frame.loc[rng.random(rows) < 0.1, name] = None
    frame.loc[:20, "x"] = None  # the first chunks have nothing of it
    frame.loc[:20, "town"] = None
    return frame


def learned(data, **arguments):
    encoder = TableEncoder(categories=["zip"], max_categories=30, **arguments)
    encoder.adapt(data)
    return encoder.get_build_config()


@pytest.mark.parametrize("scaling", ["robust", "standard"])
@pytest.mark.parametrize("rows", [1, 7, 500])
def test_chunks_give_what_one_call_gives(monkeypatch, scaling, rows):
    set_limits(monkeypatch, BLOCK=64)  # several are filled
    frame = table_of()
    chunks = (frame[start : start + rows] for start in range(0, 500, rows))
    assert learned(chunks, scaling=scaling) == learned(frame, scaling=scaling)


def test_chunks_give_what_one_call_gives_beyond_what_quantiles_keep(monkeypatch):
    set_limits(monkeypatch, BLOCK=64)
    set_limits(monkeypatch, QUANTILE_VALUES=128)
    frame = table_of()
    assert learned(frame[i : i + 9] for i in range(0, 500, 9)) == learned(frame)


def test_the_order_of_rows_and_columns_does_not_matter():
    frame = table_of()
    turned = frame.sample(frac=1, random_state=3)
    assert learned(turned) == learned(frame)
    chunks = [frame[:200], frame[200:][frame.columns[::-1]]]
    assert learned(chunks) == learned(frame)


def test_chunks_may_be_dicts_and_of_types_that_fit():
    chunks = [
        {"x": [None, None], "t": [None, None]},  # nothing known yet
        {"x": np.array([1, 2]), "t": ["a", "b"]},
        {"x": pd.Series([2.5], dtype="Float64"), "t": pd.Categorical(["b"])},
    ]
    encoder = TableEncoder(scaling=None)
    encoder.adapt(iter(chunks))
    assert encoder.levels("t") == ("b", "a")
    assert encoder.numeric_names == ("x", "x_missing")


def test_a_chunk_of_another_kind_or_with_other_columns_is_refused():
    with pytest.raises(ValueError, match="'x' .* numbers.* Received: texts"):
        TableEncoder().adapt([{"x": [1]}, {"x": ["a"]}])
    with pytest.raises(ValueError, match=r"\['x'\] missing, \['y'\] unknown"):
        TableEncoder().adapt([{"x": [1]}, {"y": [1]}])


def test_too_many_levels_end_the_reading(monkeypatch):
    set_limits(monkeypatch, MAX_LEVELS=1000)
    read = []

    def endless():
        while True:
            read.append(len(read))
            names = [f"{read[-1]}-{row}" for row in range(300)]
            yield {"id": names}

    with pytest.raises(ValueError, match="'id' .* at most 1,000 .* better dropped"):
        TableEncoder().adapt(endless())
    assert len(read) == 4
    codes = np.arange(2000, 3001)
    with pytest.raises(ValueError, match="Received: 1,001 or more, such as 2000"):
        TableEncoder(categories=["id"]).adapt({"id": codes})
    with pytest.raises(ValueError, match="Received: 1,001 or more, such as 'a2000'"):
        TableEncoder().adapt({"id": [f"a{code}" for code in codes]})


def test_a_failed_adapt_leaves_what_was_learned():
    encoder = TableEncoder()
    encoder.adapt({"x": [1.0, 2.0]})
    with pytest.raises(ValueError, match="finite"):
        encoder.adapt({"x": [1.0, np.inf]})
    assert encoder({"x": [1.5]})["numeric"].tolist() == [[0]]


def test_what_is_kept_of_a_long_column_is_bounded(monkeypatch):
    set_limits(monkeypatch, BLOCK=256)
    set_limits(monkeypatch, QUANTILE_VALUES=1024)
    rng = np.random.default_rng(0)
    learner = column_learner.ColumnLearner("x", None, "robust", 9)
    from keras_trainkit._tables.columns import read

    for _ in range(100):
        learner.update(read("x", rng.random(1000)))
    kept = sum(map(len, learner._numbers._quantiles._columns[0].levels))
    waiting = learner._numbers._buffer.num_rows
    assert kept <= 1024 and waiting < 256
    assert learner.state().fill == pytest.approx(0.5, abs=0.02)
