"""What holds for every way to search: seeds, kills, bad trials, files."""

import math

import keras_tuner
import numpy as np
import optuna
import pytest
from searching import METHODS, every_method, hill, in_child, killed_at, searcher, table

from keras_trainkit import tuners
from keras_trainkit.tuners._progress import Progress
from keras_trainkit.tuners._trial_record import TrialRecord

pytestmark = pytest.mark.backend_free


@pytest.fixture
def make(tmp_path):
    """Function that makes a tuner of a method in a folder of this test."""

    def made(method, objective=hill, folder="a", **options):
        cls, defaults = METHODS[method]
        options = {"seed": 3, "directory": tmp_path, **defaults, **options}
        return searcher(cls, objective)(project_name=folder, **options)

    return made


@pytest.mark.slow
@every_method
def test_a_search_that_was_killed_ends_as_if_nothing_had_happened(method, make):
    whole = make(method)
    whole.search(verbose=0)
    for call in (1, 5):
        killed = in_child(
            lambda call=call: make(method, killed_at(call), "b").search(verbose=0)
        )
        assert killed == -9
    calls = []
    resumed = make(method, lambda hp: calls.append(hp) or hill(hp), "b")
    resumed.search(verbose=0)
    assert table(resumed) == table(whole)
    assert len(calls) == 7 - 4  # none of the four that were completed ran again


@every_method
def test_the_best_trial_comes_first_and_is_kept_with_its_values(method, make):
    tuner = make(method)
    tuner.search(verbose=0)
    (best,) = tuner.get_best_hyperparameters()
    assert isinstance(tuner, keras_tuner.Tuner)
    scores = [score for _, _, _, score in table(tuner)]
    assert hill(best) == min(scores) == tuner.study.best_value
    assert len(scores) == 7 and tuner.remaining_trials == 0


@every_method
def test_values_chosen_by_hand_go_first_and_once(method, make):
    tuner = make(method)
    chosen = {"x": -2.0, "kind": "b"} if method == "grid" else {"x": 0.75, "kind": "b"}
    if method == "grid":
        chosen["x"] = tuner_list_value()
    tuner.enqueue(chosen)
    tuner.enqueue(dict(reversed(chosen.items())))
    tuner.enqueue({"kind": "c"})
    tuner.search(verbose=0)
    rows = table(tuner)
    assert rows[0][2] == chosen
    assert rows[1][2]["kind"] == "c" and len(rows) == 7
    assert rows[2][2] != chosen


def tuner_list_value():
    hp = keras_tuner.HyperParameters()
    hp.Float("x", -2.0, 2.0)
    return sorted(hp.space[0].values)[4]


@every_method
def test_numbers_may_be_those_of_numpy(method, make):
    numbers = {"seed": 3, "max_trials": 2, "executions_per_trial": 1, "patience": 2}
    numbers |= {"max_epochs": 4, "factor": 3} if method == "hyperband" else {}
    arrays = {name: np.int64(number) for name, number in numbers.items()}
    first, second = (
        make(method, folder="a", **numbers),
        make(method, folder="b", **arrays),
    )
    first.search(verbose=0)
    second.search(verbose=0)
    assert table(first) == table(second) and len(table(first)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_the_same_seed_gives_the_same_trials(seed, make):
    first, second = (make("bayesian", folder=name, seed=seed) for name in "ab")
    first.search(verbose=0)
    second.search(verbose=0)
    assert table(first) == table(second)


@pytest.mark.slow
def test_other_seeds_give_other_trials(make):
    tuners_of = [make("random", folder=f"s{seed}", seed=seed) for seed in (0, 1, None)]
    for tuner in tuners_of:
        tuner.search(verbose=0)
    first = {table(tuner)[0][2]["x"] for tuner in tuners_of}
    assert len(first) == 3


def test_a_search_goes_on_for_more_trials(make):
    make("random", max_trials=3).search(verbose=0)
    longer = make("random", max_trials=7)
    assert longer.remaining_trials == 4
    longer.search(verbose=0)
    whole = make("random", folder="b")
    whole.search(verbose=0)
    assert table(longer) == table(whole)


def test_an_interrupt_gives_its_values_to_the_next_search(make):
    values = []

    def interrupted(hp):
        values.append(hill(hp))
        if len(values) == 2:
            raise KeyboardInterrupt
        return values[-1]

    with pytest.raises(KeyboardInterrupt):
        make("random", interrupted).search(verbose=0)
    tuner = make("random")
    tuner.search(verbose=0)
    assert table(tuner)[1][3] == values[1]


BAD = {
    "nan": (lambda: math.nan, "val_loss was nan"),
    "inf": (lambda: math.inf, "val_loss was inf"),
    "-inf": (lambda: -math.inf, "val_loss was -inf"),
    "nan in a dict": (lambda: {"val_loss": math.nan}, "val_loss was nan"),
    "raises": (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
    "out of memory": (lambda: [0] * 10**15, "MemoryError"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD)
def test_a_bad_trial_is_recorded_with_its_reason_and_never_best(bad, reason, make):
    calls = []

    def objective(hp):
        calls.append(hp)
        return bad() if len(calls) == 2 else hill(hp)

    tuner = make("random", objective, max_trials=4)
    tuner.search(verbose=0)
    statuses = [status for _, status, _, _ in table(tuner)]
    assert statuses == ["COMPLETED", "FAILED", "COMPLETED", "COMPLETED"]
    assert reason in tuner.trials_frame()["reason"]["0001"]
    best = tuner.oracle.get_best_trials(9)
    assert [trial.trial_id for trial in best] == sorted(
        ("0000", "0002", "0003"), key=lambda name: tuner.oracle.get_trial(name).score
    )


def test_a_result_of_no_known_kind_ends_the_search(make):
    with pytest.raises(TypeError, match="must be a number, a dict"):
        make("random", lambda hp: None).search(verbose=0)


def test_a_search_without_a_completed_trial_says_why(make):
    def failing(hp):
        raise OSError(f"no disk {len(hp.values)}")

    with pytest.raises(RuntimeError, match="No trial.*2 trials.*OSError: no disk 0"):
        make("random", failing, max_trials=2).search(verbose=0)


def test_failures_in_a_row_end_the_search(make):
    calls = []

    def failing(hp):
        calls.append(hp)
        if len(calls) > 2:
            raise OSError("no disk")
        return hill(hp)

    with pytest.raises(RuntimeError, match="4 failures, the last one OSError"):
        make("random", failing, max_consecutive_failed_trials=4).search(verbose=0)
    assert len(calls) == 6


def test_a_trial_is_tried_again_and_a_refused_one_is_not(make):
    calls = []

    def troubled(hp):
        hill(hp)
        calls.append(hp.get("x"))
        if len(calls) < 3:
            raise OSError("busy")
        if len(calls) == 4:
            raise keras_tuner.errors.FailedTrialError("too big")
        return 1.0

    tuner = make("random", troubled, max_trials=2, max_retries_per_trial=2)
    tuner.search(verbose=0)
    assert [status for _, status, _, _ in table(tuner)] == ["COMPLETED", "FAILED"]
    assert len(calls) == 4 and len(set(calls)) == 2


def test_a_fatal_error_ends_the_search_at_once(make):
    def fatal(hp):
        raise keras_tuner.errors.FatalRuntimeError("stop everything")

    with pytest.raises(keras_tuner.errors.FatalRuntimeError, match="stop everything"):
        make("random", fatal).search(verbose=0)


def test_a_process_that_always_dies_over_one_trial_is_given_up(make, monkeypatch):
    monkeypatch.setattr("keras_trainkit.tuners._trial_queue.MAX_DEATHS", 2)

    def deadly(hp):
        return killed_at(1)(hp)

    for _ in range(2):
        assert in_child(lambda: make("random", deadly).search(verbose=0)) == -9
    tuner = make("random", max_trials=2)
    tuner.search(verbose=0)
    frame = tuner.trials_frame()
    assert frame["reason"]["0000"] == "Its process died 2 times."
    assert list(frame["state"]) == ["FAIL", "COMPLETE"]


def test_a_value_by_hand_outside_of_its_range_is_refused(make):
    tuner = make("random")
    tuner.enqueue({"x": 2.5})
    with pytest.raises(ValueError, match="by hand for 'x'.*Received: 2.5"):
        tuner.search(verbose=0)


def test_a_value_by_hand_for_no_hyperparameter_is_warned_about(make):
    tuner = make("random", max_trials=1)
    tuner.enqueue({"x": 0.5, "y": 2.5})
    with pytest.warns(UserWarning, match="for y had no effect"):
        tuner.search(verbose=0)


@pytest.mark.parametrize("values", [{}, None, [1]])
def test_only_a_dict_can_be_queued(values, make):
    with pytest.raises(ValueError, match="`values` is a configuration"):
        make("random").enqueue(values)


def test_a_search_ends_when_more_trials_bring_little(make):
    scores = iter([5.0, 4.0, 3.9, 3.8, 3.75, 0.0])

    def objective(hp):
        hp.Float("x", 0, 1)
        return next(scores)

    tuner = make("random", objective, min_improvement=0.3, patience=3)
    tuner.search(verbose=0)
    # 4.0 is the reference; 3.9, 3.8 and 3.75 do not beat it by more than 0.3.
    assert [score for _, _, _, score in table(tuner)] == [5.0, 4.0, 3.9, 3.8, 3.75]


def test_a_tuner_may_end_its_search_before_the_number_of_trials(make):
    tuner, done = make("random"), []
    tuner.is_over = lambda: len(done) == 2
    tuner.on_trial_end = lambda trial: done.append(trial.trial_id)
    tuner.search(verbose=0)
    assert done == ["0000", "0001"]


def test_the_higher_the_better_where_the_objective_says_so(tmp_path):
    points = keras_tuner.Objective("points", "max")
    cls = searcher(tuners.RandomSearch, lambda hp: {"points": hp.Int("n", 1, 9)})
    tuner = cls(objective=points, seed=3, directory=tmp_path)
    tuner.search(verbose=0)
    scores = [score for _, _, _, score in table(tuner)]
    assert tuner.oracle.get_best_trials()[0].score == max(scores) > min(scores)


def test_several_objectives_are_summed(tmp_path):
    both = ["val_loss", keras_tuner.Objective("points", "max")]
    cls = searcher(tuners.RandomSearch, lambda hp: {"val_loss": 5.0, "points": 2})
    tuner = cls(objective=both, max_trials=1, directory=tmp_path)
    tuner.search(verbose=0)
    assert table(tuner)[0][3] == 3.0


def test_a_list_of_results_is_averaged_and_its_spread_kept(make):
    tuner = make("random", lambda hp: [1.0, {"val_loss": 4.0}], max_trials=1)
    tuner.search(verbose=0)
    frame = tuner.trials_frame()
    assert frame["score"]["0000"] == 2.5
    assert frame["spread"]["0000"] == pytest.approx(1.5 * 2**0.5)


def test_progress_is_one_line_per_trial_and_nothing_when_quiet(make, capsys):
    make("random", max_trials=2).search()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines] == [
        "Search: 1/2 trials",
        "Search: 2/2 trials",
    ]
    assert "best val_loss" in lines[1] and "left" in lines[0]
    make("random", folder="b", max_trials=2).search(verbose=0)
    assert capsys.readouterr().out == ""


def test_progress_says_the_same_once_and_counts_the_time_left_down(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    trial = optuna.trial.create_trial(value=0.5)
    records = [TrialRecord(place, [trial]) for place in range(3)]
    progress = Progress(keras_tuner.Objective("val_loss", "min"), 4, verbose="auto")
    progress.show(records[:1])  # done before this start
    for clock[0], count in [(10.0, 2), (11.0, 2), (19.0, 2), (20.0, 3), (27.0, 3)]:
        progress.show(records[:count])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines] == [
        "Search: 1/4 trials",
        "Search: 2/4 trials",
        "Search: 3/4 trials",
    ]
    assert [line.split(" | ")[2:] for line in lines] == [
        [],
        ["0:00:20 left"],
        ["0:00:10 left"],
    ]


def test_progress_shows_the_time_that_a_limit_leaves(capsys):
    objective = keras_tuner.Objective("val_loss", "min")
    progress = Progress(objective, None, "auto", seconds_left=lambda: 83.0)
    assert progress._text([], 1) == "Search: 1 trials | 0:01:23 left"
    endless = Progress(objective, None, "auto", seconds_left=lambda: math.inf)
    assert endless._text([], 1) == "Search: 1 trials"


def test_summaries_tell_the_space_and_the_trials(make, capsys):
    calls = []

    def objective(hp):
        calls.append(hp)
        return hill(hp) if len(calls) > 1 else math.nan

    tuner = make("random", objective)
    tuner.search(verbose=0)
    tuner.results_summary(2)
    tuner.search_space_summary()
    shown = capsys.readouterr().out
    assert shown.count("Score: ") == 2
    assert "1 trials failed, the first with NotFinite: val_loss was nan." in shown
    assert "x (Float)" in shown and "extra (Int)" in shown


def test_another_process_reads_the_space_and_the_trials(make):
    make("random").search(verbose=0)
    reopened = make("random")
    assert {hp.name for hp in reopened.oracle.get_space().space} == {
        "x",
        "kind",
        "extra",
    }
    assert len(table(reopened)) == 7


def test_the_neighbours_of_a_lucky_trial_keep_it_from_being_best(make):
    # A lonely low value at 0.9 among high ones; a broad valley around 0.2.
    scores = {0.9: 0.1, 0.85: 9, 0.8: 9, 0.95: 9, 1.0: 9}
    scores |= {0.1: 1.0, 0.15: 0.9, 0.2: 0.8, 0.25: 0.9, 0.3: 1.0}
    tuner = make(
        "random", lambda hp: scores[round(hp.Float("x", 0, 1), 2)], max_trials=10
    )
    for x in scores:
        tuner.enqueue({"x": x})
    tuner.search(verbose=0)
    assert tuner.get_best_hyperparameters()[0].get("x") == 0.9
    assert tuner.get_best_hyperparameters(robust=True)[0].get("x") == 0.2


def test_the_chief_of_kerastuner_is_refused_by_name(make, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with pytest.raises(ValueError, match="`storage`.*127.0.0.1"):
        make("random")


def test_no_hypermodel_and_no_run_trial_is_refused_as_in_kerastuner(tmp_path):
    with pytest.raises(ValueError, match="`hypermodel`.*`run_trial`"):
        tuners.RandomSearch(directory=tmp_path)
    assert not any(tmp_path.iterdir())
