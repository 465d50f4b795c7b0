"""The joint: every kind of hyperparameter that KerasTuner has, asked of Optuna."""

import keras_tuner
import optuna
import pytest
from keras_tuner.engine import hyperparameters as kinds

from keras_trainkit.tuners._configuration_tree import PartialConfiguration
from keras_trainkit.tuners._hyperparameters import (
    SuggestedHyperParameters,
    SuggestedValues,
    as_listed_parameter,
    as_parameter,
)

pytestmark = pytest.mark.backend_free

CHOICES = {
    "choice of texts": (lambda hp: hp.Choice("a", ["x", "y", "z"]), {"x", "y", "z"}),
    "choice of numbers": (lambda hp: hp.Choice("a", [0.5, 0.25]), {0.5, 0.25}),
    "choice of ints": (lambda hp: hp.Choice("a", [32, 64]), {32, 64}),
    "boolean": (lambda hp: hp.Boolean("a"), {True, False}),
    "fixed": (lambda hp: hp.Fixed("a", 0.7), {0.7}),
    "int": (lambda hp: hp.Int("a", 3, 5), {3, 4, 5}),
    "int, step": (lambda hp: hp.Int("a", 6, 13, step=3), {6, 9, 12}),
    "int, log": (lambda hp: hp.Int("a", 1, 4, sampling="log"), {1, 2, 3, 4}),
    "int, log, step": (
        lambda hp: hp.Int("a", 2, 32, step=2, sampling="log"),
        {2, 4, 8, 16, 32},
    ),
    "int, reverse log": (
        lambda hp: hp.Int("a", 1, 4, sampling="reverse_log"),
        {1, 2, 3, 4},
    ),
    "int, reverse log, step": (  # 2 + 16 - 2, 4, 8, 16
        lambda hp: hp.Int("a", 2, 16, step=2, sampling="reverse_log"),
        {16, 14, 10, 2},
    ),
    "float, step": (
        lambda hp: hp.Float("a", 0.1, 0.45, step=0.1),
        {0.1, 0.2, 0.3, 0.4},
    ),
    "float, log, step": (
        lambda hp: hp.Float("a", 0.001, 1, step=10, sampling="log"),
        {0.001, 0.01, 0.1, 1.0},
    ),
    "float, one value": (lambda hp: hp.Float("a", 0.3, 0.3), {0.3}),
    "int, one value": (lambda hp: hp.Int("a", 7, 7, sampling="log"), {7}),
}
RANGES = {
    "float": (lambda hp: hp.Float("a", -2.0, 3.0), 0.5),
    "float, log": (lambda hp: hp.Float("a", 1e-4, 1.0, sampling="log"), 1e-2),
    # Mirrored: half of the values lie above 1 + 1e-4 - 1e-2.
    "float, reverse log": (
        lambda hp: hp.Float("a", 1e-4, 1.0, sampling="reverse_log"),
        0.9901,
    ),
}


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))


def answers(study, define, count, **options):
    """What `define(hp)` returned in so many trials."""
    found = []
    for _ in range(count):
        trial = study.ask()
        suggested = SuggestedValues(trial, PartialConfiguration(trial.number))
        hp = SuggestedHyperParameters(suggested, **options)
        found.append(define(hp))
        study.tell(trial, 0.0)
    return found


@pytest.mark.parametrize(("define", "values"), CHOICES.values(), ids=CHOICES)
def test_every_value_of_a_list_is_drawn_and_no_other(study, define, values):
    found = answers(study, define, 60)
    assert {round(v, 9) if isinstance(v, float) else v for v in found} == values
    assert {type(v) for v in found} == {type(v) for v in values}


@pytest.mark.parametrize(("define", "median"), RANGES.values(), ids=RANGES)
def test_half_of_the_draws_lie_below_the_middle_of_the_scale(study, define, median):
    found = answers(study, define, 200)
    below = sum(value < median for value in found)
    assert 75 < below < 125  # 100 +- 3.5 standard deviations of a fair coin


@pytest.mark.parametrize(("define", "values"), CHOICES.values(), ids=CHOICES)
def test_a_value_comes_back_from_what_is_drawn(define, values):
    hp = keras_tuner.HyperParameters()
    define(hp)
    if isinstance(hp.space[0], kinds.Fixed):
        return
    parameter = as_parameter(hp.space[0])
    for value in values:
        assert parameter.to_value(parameter.to_drawn(value)) == pytest.approx(value)


def test_lists_of_a_grid_begin_with_the_default():
    integers = as_listed_parameter(
        kinds.Int("a", 4, 16, step=2, sampling="log", default=8)
    )
    assert integers.distribution.choices == (8, 4, 16)
    ten = as_listed_parameter(
        kinds.Float("a", 0.0, 1.0, default=0.05)
    ).distribution.choices
    assert ten == pytest.approx([0.05, *(0.15 + 0.1 * i for i in range(9))])


def test_an_entry_under_a_condition_that_fails_is_never_asked(study):
    def define(hp):
        kind = hp.Choice("kind", ["mlp", "rnn"])
        with hp.conditional_scope("kind", ["mlp"]):
            units = hp.Int("units", 1, 9)
        depth = hp.Int("depth", 1, 3, parent_name="kind", parent_values=["rnn"])
        return kind, units, depth

    found = answers(study, define, 30)
    assert {kind for kind, _, _ in found} == {"mlp", "rnn"}
    for (kind, units, depth), trial in zip(found, study.trials, strict=True):
        assert (units is None) == (kind == "rnn") == ("units" not in trial.params)
        assert (depth is None) == (kind == "mlp") == ("depth" not in trial.params)


def test_a_name_inside_scopes_is_joined(study):
    def define(hp):
        with hp.name_scope("encoder"):
            hp.Int("units", 1, 9)
            return hp.get("units")

    (value,) = answers(study, define, 1)
    assert study.trials[0].params == {"encoder/units": value}


def test_asking_twice_gives_the_same_value(study):
    found = answers(study, lambda hp: (hp.Float("a", 0, 1), hp.Float("a", 0, 1)), 5)
    assert all(first == second for first, second in found)


def test_one_name_with_two_lists_gets_two_names_in_the_study(study):
    def define(hp):
        kind = hp.Choice("kind", [1, 2])
        first = hp.Choice("a", [3, 4], parent_name="kind", parent_values=[1])
        second = hp.Choice("a", [5, 6], parent_name="kind", parent_values=[2])
        return kind, first if kind == 1 else second

    found = set(answers(study, define, 40))
    assert found == {(1, 3), (1, 4), (2, 5), (2, 6)}
    names = {name for trial in study.trials for name in trial.params}
    assert names in ({"kind", "a", "a (5, 6)"}, {"kind", "a", "a (3, 4)"})


def test_one_name_for_two_kinds_works_too(study):
    def define(hp):
        kind = hp.Boolean("kind")
        a = hp.Int("a", 1, 3, parent_name="kind", parent_values=[True])
        b = hp.Float("a", 5.0, 6.0, parent_name="kind", parent_values=[False])
        return a if kind else b

    found = answers(study, define, 20)
    assert any(v in (1, 2, 3) for v in found) and any(5 <= v <= 6 for v in found)


def test_another_range_under_the_same_name_is_no_conflict(study):
    answers(study, lambda hp: hp.Int("a", 1, 3), 1)
    answers(study, lambda hp: hp.Int("a", 5, 9), 1)
    assert [set(trial.params) for trial in study.trials] == [{"a"}, {"a"}]


def test_given_definitions_go_before_those_of_the_model(study):
    given = keras_tuner.HyperParameters()
    given.Int("a", 20, 22)
    given.Fixed("b", "relu")

    def define(hp):
        return hp.Int("a", 1, 3), hp.Choice("b", ["tanh", "gelu"]), hp.Boolean("c")

    found = answers(study, define, 20, given=given)
    assert {a for a, _, _ in found} == {20, 21, 22}
    assert {b for _, b, _ in found} == {"relu"}
    assert {c for _, _, c in found} == {True, False}


def test_entries_that_are_not_to_be_tuned_take_their_default(study):
    given = keras_tuner.HyperParameters()
    given.Int("a", 20, 22)

    def define(hp):
        return hp.Int("a", 1, 3), hp.Int("b", 4, 90, default=70)

    found = answers(study, define, 5, given=given, tune_new_entries=False)
    assert {b for _, b in found} == {70}


def test_entries_that_may_not_exist_are_an_error(study):
    given = keras_tuner.HyperParameters()
    given.Int("a", 20, 22)
    with pytest.raises(RuntimeError, match="`allow_new_entries`.*new entry Int"):
        answers(
            study, lambda hp: hp.Int("b", 1, 3), 1, given=given, allow_new_entries=0
        )


@pytest.mark.parametrize(("low", "high"), [(1e-6, 1e-2), (0.1, 0.7), (1e-4, 1.0)])
def test_the_ends_of_a_reverse_log_range_can_be_chosen(low, high):
    hp = kinds.Float("a", low, high, sampling="reverse_log")
    parameter = as_parameter(hp)
    for end in (low, high):
        assert low <= parameter.to_drawn(end) <= high
        assert low <= parameter.to_value(end) <= high
    assert not low <= parameter.to_drawn(2 * high) <= high
