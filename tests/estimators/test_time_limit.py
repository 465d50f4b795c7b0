"""A clock of our own, and the callback that ends a training by it."""

import pytest

from keras_trainkit.estimators import _time_limit
from keras_trainkit.estimators._time_limit import Clock, TimeLimit

pytestmark = pytest.mark.backend_free


class Model:
    stop_training = False


@pytest.fixture
def seconds(monkeypatch):
    """The time, which goes on when a test says so."""
    found = [100.0]
    monkeypatch.setattr(_time_limit, "now", lambda: found[0])
    return found


def watching(clock, trainings=1, must_end=False, epochs=99):
    watch = TimeLimit(clock, trainings, must_end)
    watch.set_model(Model())
    watch.set_params({"epochs": epochs})
    watch.on_train_begin()
    return watch


def test_what_is_left_for_trials(seconds):
    clock = Clock(60.0, began=90.0)
    clock.spent, clock.reserve = 20.0, 7.0
    assert clock.left == 60 - 20 - 7 - (100 - 90)
    assert Clock(None, 0.0).left == float("inf")


def test_a_training_is_ended_within_an_epoch_or_after_it(seconds):
    watch = watching(Clock(10.0, began=100.0))
    seconds[0] = 109.0
    watch.on_train_batch_end(0)
    watch.on_epoch_end(0)
    assert not watch.is_over and not watch.model.stop_training
    seconds[0] = 110.0
    watch.on_train_batch_end(1)
    assert watch.is_over and watch.model.stop_training
    watch = watching(Clock(5.0, began=100.0))
    watch.on_epoch_end(0)
    assert watch.is_over and watch.model.stop_training


@pytest.mark.parametrize(("limit", "fits"), [(72.0, True), (71.0, False)])
def test_a_few_epochs_tell_whether_the_recipe_ends_in_time(seconds, limit, fits):
    """Two networks of 11 epochs: after 4 of them in 17.5 seconds 18 are left.

    An epoch is as long as the shortest, 3 seconds: 17.5 + 18 * 3 = 71.5.
    """
    watch = watching(Clock(limit, began=100.0), trainings=2, must_end=True)
    for epoch, end in enumerate([108.0, 111.0, 114.5]):
        seconds[0] = end
        watch.on_epoch_end(epoch)
    seconds[0] = 117.5
    if fits:
        watch.on_epoch_end(3)
        return
    words = r"takes 72 or more here \(2 networks of 11 epochs or more\).*=71.0"
    with pytest.raises(ValueError, match=f"^`time_limit` .*{words}"):
        watch.on_epoch_end(3)


def test_a_recipe_with_all_its_epochs_may_be_ended(seconds):
    """One network, after the 11 epochs that any training has: the best one counts."""
    watch = watching(Clock(20.0, began=100.0), must_end=True)
    for epoch in range(12):
        seconds[0] += 1.7
        watch.on_epoch_end(epoch)
    assert watch.is_over


def test_a_trial_after_the_first_raises_nothing(seconds):
    watch = watching(Clock(1.0, began=100.0), trainings=5)
    for epoch in range(5):
        seconds[0] += 1
        watch.on_epoch_end(epoch)
    assert watch.is_over


def test_what_earlier_starts_took_is_said(seconds):
    clock = Clock(30.0, began=100.0)
    clock.spent = 29.0
    watch = watching(clock, trainings=2, must_end=True, epochs=4)
    seconds[0] = 109.0
    watch.on_train_batch_end(0)
    watch.on_epoch_end(0)  # which compiles, and does not tell
    seconds[0] = 112.0
    # 12 seconds, and 6 epochs of 3 seconds.
    with pytest.raises(ValueError, match="takes 30 .*4 epochs.*of which 29 are spent"):
        watch.on_epoch_end(1)


@pytest.mark.parametrize("epochs", [1, 11])
def test_the_last_of_several_trainings_needs_epochs_of_its_own(seconds, epochs):
    """The first has 40, of which the 11 that each needs are no part of the second's."""
    watch = watching(Clock(40.5 + epochs, began=100.0), trainings=2, must_end=True)
    for training in range(2):
        if training:
            watch.on_train_begin()
        for epoch in range([40, epochs][training]):
            seconds[0] += 1
            watch.on_epoch_end(epoch)
    assert not watch.is_over
    seconds[0] += 1
    watch.on_train_batch_end(0)
    if epochs == 11:
        watch.on_epoch_end(epochs)
        assert watch.is_over and not watch.is_short
        return
    with pytest.raises(ValueError, match="takes 52 or more .*2 networks of 11 epochs"):
        watch.on_epoch_end(epochs)


def test_a_later_trial_that_is_cut_too_soon_is_told_apart(seconds):
    watch = watching(Clock(5.0, began=100.0), epochs=3)
    for epoch in range(3):
        seconds[0] += 1.9
        watch.on_train_batch_end(epoch)
        watch.on_epoch_end(epoch)
    assert watch.is_over and watch.is_short  # in the third epoch of three
