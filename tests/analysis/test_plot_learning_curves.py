import keras
import numpy as np
import pytest

from keras_trainkit.analysis import plot_learning_curves
from keras_trainkit.analysis.plot_learning_curves import _draw

NAN = float("nan")
RUN = {
    "accuracy": [0.4, 0.7, 0.9],
    "loss": [3.0, 2.0, 1.0],
    "val_accuracy": [0.5, 0.8, 0.6],
    "val_loss": [3.5, 2.75, 2.9],
}


def lines(history, panel=0):
    return _draw(history).axes[panel].get_lines()


def test_one_panel_for_each_metric_and_the_loss_first():
    assert [axes.get_ylabel() for axes in _draw(RUN).axes] == ["loss", "accuracy"]
    assert {axes.get_xlabel() for axes in _draw(RUN).axes} == {"epoch"}


def test_training_is_solid_and_validation_dashed_in_one_colour():
    training, validation, _ = lines(RUN)
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    assert training.get_color() == validation.get_color()
    assert training.get_xdata().tolist() == [1, 2, 3]
    assert validation.get_ydata().tolist() == RUN["val_loss"]
    assert training.get_color() != lines(RUN, 1)[0].get_color()


@pytest.mark.parametrize(
    ("name", "values", "epoch"),
    [
        ("loss", [3, 1, 2], 2),
        ("mean_absolute_error", [NAN, 3, 2], 3),
        ("left_accuracy", [0.5, 0.9, 0.7], 2),
        ("auc", [0.5, NAN, 0.7], 3),
    ],
)
def test_dot_marks_the_best_epoch(name, values, epoch):
    dot = lines({name: [9, 9, 9], f"val_{name}": values})[-1]
    assert (dot.get_marker(), dot.get_xdata()[0]) == ("o", epoch)
    assert f"in epoch {epoch}" in dot.get_label()


def test_training_is_marked_where_there_is_no_validation():
    training, dot = lines({"loss": [3, 1, 2]})
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (2, 1)


@pytest.mark.parametrize("values", [[3, 2, 1], [NAN] * 3])
def test_nothing_is_marked_where_best_means_nothing(values):
    name = "loss" if np.isnan(values[0]) else "learning_rate"
    assert len(lines({name: values})) == 1


def test_sparse_validation_stands_at_its_epochs():
    run = {"loss": [7, 6, 5, 4, 3, 2, 1], "val_loss": [6, 4, 2]}
    assert lines(run)[1].get_xdata().tolist() == [2, 4, 6]


def test_sparse_validation_that_two_steps_explain_wants_to_be_told():
    run = {"loss": np.arange(50.0), "val_loss": [6, 4, 2, 1, 0]}
    with pytest.raises(ValueError, match=r"5 values of 'val_loss' .*as \[9, 10\]"):
        _draw(run)
    assert _draw(run, 10).axes[0].get_lines()[1].get_xdata().tolist() == [
        *range(10, 51, 10)
    ]


@pytest.mark.parametrize("epochs", [[1, 6], (2, 5)])
def test_epochs_that_were_validated_may_be_listed(epochs):
    run = {"loss": [7, 6, 5, 4, 3, 2], "val_loss": [6, 4]}
    drawn = _draw(run, epochs).axes[0].get_lines()[1]
    assert drawn.get_xdata().tolist() == list(epochs)


@pytest.mark.parametrize("frequency", [0, 1.5, [0, 3], []])
def test_a_validation_freq_that_is_none_is_refused(frequency, tmp_path):
    with pytest.raises(ValueError, match="`validation_freq.*Received: "):
        plot_learning_curves(RUN, tmp_path / "a.png", validation_freq=frequency)


def test_sparse_validation_of_a_resumed_run_stands_where_keras_counts_it(blobs):
    x, y = blobs
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(
        x,
        y,
        initial_epoch=3,
        epochs=10,
        validation_data=(x, y),
        validation_freq=2,
        verbose=0,
    )
    assert lines(history)[1].get_xdata().tolist() == [4, 6, 8, 10]


def test_length_that_nothing_explains_is_refused(tmp_path):
    run = {"loss": [7, 6, 5, 4, 3], "val_loss": [6, 4, 2]}
    with pytest.raises(ValueError, match="3 values of 'val_loss' for 5 epochs"):
        plot_learning_curves(run, tmp_path / "run.png")


def test_history_of_fit_is_read_and_keeps_its_epochs(blobs, tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    run = model.fit(*blobs, initial_epoch=3, epochs=5, verbose=0)
    assert lines(run)[0].get_xdata().tolist() == [4, 5]
    plot_learning_curves(run, tmp_path / "run.pdf")
    assert (tmp_path / "run.pdf").read_bytes().startswith(b"%PDF")


def test_many_metrics_take_several_rows(tmp_path):
    run = {f"metric_{number}": [1.0, 2.0] for number in range(7)}
    figure = _draw(run)
    assert len(figure.axes) == 7
    plot_learning_curves(run, str(tmp_path / "run.png"))
    assert (tmp_path / "run.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("history", "path", "words"),
    [
        (RUN, "run.txt", "`path` is the file to draw into"),
        (RUN, None, "must end in one of .pdf, .png, .svg"),
        ({}, "run.png", "`history` is what to draw"),
        ([1, 2], "run.png", r"Received: history=\[1, 2\]"),
        (
            {"loss": 7},
            "run.png",
            r"'loss' of `history` is .* must be a list .* of shape \(\)",
        ),
        ({"loss": np.ones((2, 3))}, "run.png", r"values of shape \(2, 3\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(history, path, words):
    with pytest.raises(ValueError, match=words):
        plot_learning_curves(history, path)
