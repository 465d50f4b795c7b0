import pytest

from keras_trainkit import analysis
from keras_trainkit.analysis.plot_gradients import _draw
from keras_trainkit.callbacks import GradientMonitor

FINDING = {"kind": "vanishing", "layer": "first", "step": 50, "value": 1e-5}


def seen(**changed):
    return {
        "steps": [0, 50],
        "gradient_norms": {"first": [1e-3, 1e-6], "last": [0.5, 0.25]},
        "update_ratios": {"first": [1e-3, float("nan")], "last": [0.01, 0.0]},
        "dead_shares": {"first": [0.0, 0.75]},
        "saturated_shares": {},
        "finding": None,
        **changed,
    }


def panels(figure):
    return [axes for axes in figure.axes if axes.get_title()]


def test_a_panel_for_each_kind_that_layers_have():
    titles = [axes.get_title() for axes in panels(_draw(seen(), "Gradients"))]
    assert titles == ["gradient norm", "update / weights", "share of dead units"]


def test_rows_are_layers_and_columns_are_steps():
    axes = panels(_draw(seen(), "Gradients"))[0]
    assert axes.images[0].get_array().tolist() == [[1e-3, 1e-6], [0.5, 0.25]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["first", "last"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "50"]


def test_finding_is_framed_and_written_below():
    figure = _draw(seen(finding=FINDING), "Gradients")
    assert figure.get_supxlabel() == "vanishing gradients: first, step 50"
    (frame,) = panels(figure)[0].patches
    assert frame.get_xy() == (0.5, -0.5)  # second column, first row


def test_picture_is_written(tmp_path):
    analysis.plot_gradients(seen(), tmp_path / "gradients.png")
    assert (tmp_path / "gradients.png").stat().st_size > 5000


def test_monitor_without_steps_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: a monitor without steps"):
        analysis.plot_gradients(GradientMonitor(), tmp_path / "gradients.png")


@pytest.mark.parametrize("given", [None, 7, {"steps": [1]}, "a"], ids=range(4))
def test_what_is_no_monitor_is_refused(given, tmp_path):
    with pytest.raises(ValueError, match="`monitor` holds what is drawn and must be a"):
        analysis.plot_gradients(given, tmp_path / "gradients.png")
