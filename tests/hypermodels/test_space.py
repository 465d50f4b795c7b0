import keras_tuner
import numpy as np
import pytest

from keras_trainkit.hypermodels import HyperBiLSTMAttention, HyperMLP

MLP = HyperMLP((3,), 2)


def declared(hypermodel, **values):
    hp = keras_tuner.HyperParameters()
    hp.values = values
    hypermodel.declare_hyperparameters(hp)
    return hp


def entries(hp):
    return {entry.name: entry for entry in hp.space}


def drawn(hypermodel, count=300):
    """Configurations as a random search of KerasTuner draws them."""
    tuner_space = declared(hypermodel).space
    for seed in range(count):
        hp = keras_tuner.HyperParameters()
        for index, entry in enumerate(tuner_space):
            hp.merge([entry])
            if hp.is_active(entry):
                hp.values[entry.name] = entry.random_sample(1000 * seed + index)
        yield hp.values


def test_names_of_the_mlp_are_those_of_its_table():
    assert [entry.name for entry in declared(MLP).space] == [
        "layers",
        "units_0",
        "units_1",
        "units_2",
        "units_3",
        "activation",
        "normalization",
        "residual",
        "dropout",
        "optimizer",
        "learning_rate",
        "momentum",
        "weight_decay",
        "schedule",
        "batch_size",
    ]


def test_names_of_the_bilstm_are_those_of_its_table():
    hypermodel = HyperBiLSTMAttention((None,), 2, vocabulary_size=9)
    assert [entry.name for entry in declared(hypermodel).space] == [
        "embedding_units",
        "layers",
        "units_0",
        "units_1",
        "units_2",
        "dropout",
        "recurrent_dropout",
        "attention",
        "query",
        "optimizer",
        "learning_rate",
        "momentum",
        "weight_decay",
        "schedule",
        "batch_size",
    ]
    floats = declared(HyperBiLSTMAttention((None, 4), 2))
    assert "embedding_units" not in entries(floats)


def test_every_searched_name_stands_in_the_docstring():
    text = HyperMLP.__doc__ + HyperBiLSTMAttention.__doc__
    for name in [*entries(declared(MLP)), "embedding_units", "query"]:
        assert f"`{name}`" in text or name[:6] == "units_"


@pytest.mark.parametrize(
    ("name", "low", "high", "sampling"),
    [
        ("learning_rate", 1e-5, 1.0, "log"),
        ("weight_decay", 1e-6, 1e-2, "log"),
        ("dropout", 0.2, 0.5, "linear"),
        ("momentum", 0.9, 0.99, "linear"),
    ],
)
def test_ranges_are_those_a_search_starts_from(name, low, high, sampling):
    entry = entries(declared(MLP))[name]
    assert (entry.min_value, entry.max_value) == (low, high)
    assert entry.sampling == sampling


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_penalties_range_from_1e_5_to_1e_2_on_a_log_scale(name):
    hypermodel = HyperMLP((3,), 2, space={"penalty": ["none", "l1", "elastic_net"]})
    entry = entries(declared(hypermodel))[name]
    assert (entry.min_value, entry.max_value, entry.sampling) == (1e-5, 1e-2, "log")


def test_random_rates_are_uniform_in_their_logarithm():
    rates = [values["learning_rate"] for values in drawn(MLP)]
    shares = np.histogram(np.log10(rates), bins=5, range=(-5, 0))[0] / len(rates)
    assert shares == pytest.approx([0.2] * 5, abs=0.07)


def test_random_values_stay_inside_and_batches_are_the_four_of_the_table():
    everything = list(drawn(MLP))
    assert {v["batch_size"] for v in everything} == {32, 64, 128, 256}
    assert {v["units_0"] for v in everything} == {32, 64, 128, 256, 512}
    assert {v["layers"] for v in everything} == {1, 2, 3, 4}
    assert all(0.2 <= v["dropout"] <= 0.5 for v in everything)


def test_a_hyperparameter_is_there_only_where_it_is_used():
    space = {"penalty": ["none", "l1", "l2", "elastic_net"]}
    for values in drawn(HyperMLP((3,), 2, space=space)):
        for index in range(4):
            assert (f"units_{index}" in values) == (index < values["layers"])
        assert ("momentum" in values) == (values["optimizer"] == "sgdw")
        assert ("l1" in values) == (values["penalty"] in ("l1", "elastic_net"))
        assert ("l2" in values) == (values["penalty"] in ("l2", "elastic_net"))


def test_query_needs_attention():
    space = {"attention": ["none", "dot"]}
    hypermodel = HyperBiLSTMAttention((None, 4), 2, space=space)
    assert "query" not in declared(hypermodel, attention="none").values
    assert "query" in declared(hypermodel, attention="dot").values


def test_a_value_fixes():
    hp = declared(HyperMLP((3,), 2, space={"learning_rate": 0.07, "residual": True}))
    assert hp.get("learning_rate") == 0.07
    assert hp.get("residual") is True
    assert type(entries(hp)["learning_rate"]).__name__ == "Fixed"


def test_a_list_gives_choices_and_begins_where_the_usual_value_is_among_them():
    hp = declared(HyperMLP((3,), 2, space={"dropout": [0, 0.2], "batch_size": [7, 9]}))
    assert list(entries(hp)["dropout"].values) == [0.0, 0.2]
    assert hp.get("dropout") == 0.2
    assert hp.get("batch_size") == 7


def test_a_pair_gives_a_range_on_the_scale_of_its_name():
    space = {"learning_rate": (0.002, 0.03), "members": (2, 5)}
    found = entries(declared(HyperMLP((3,), 2, space=space)))
    rate, members = found["learning_rate"], found["members"]
    assert (rate.min_value, rate.max_value, rate.sampling) == (0.002, 0.03, "log")
    assert (members.min_value, members.max_value, members.sampling) == (2, 5, "linear")


def test_a_third_number_is_the_factor_on_a_log_scale_and_the_step_on_another():
    space = {"learning_rate": (0.001, 0.1, 10), "dropout": (0.1, 0.4, 0.15)}
    found = entries(declared(HyperMLP((3,), 2, space=space)))
    assert list(found["learning_rate"].values) == pytest.approx([0.001, 0.01, 0.1])
    assert list(found["dropout"].values) == pytest.approx([0.1, 0.25, 0.4])


def test_what_is_fixed_by_default_can_be_opened():
    space = {"beta_2": (0.9, 0.9995), "warmup_fraction": [0.25, 0.3], "scales": "1,2"}
    hp = declared(HyperBiLSTMAttention((None, 4), 2, space=space))
    assert hp.get("beta_2") == 0.999  # the usual value, which the range holds
    assert hp.get("scales") == "1,2"
    assert "beta_2" not in declared(HyperMLP((3,), 2)).values


def test_units_sets_every_layer_and_units_i_one_of_them():
    space = {"layers": 3, "units": [5, 6], "units_1": 9}
    hp = declared(HyperMLP((3,), 2, space=space))
    assert [hp.get(f"units_{i}") for i in range(3)] == [5, 9, 5]
    assert "units_3" not in entries(hp)
    assert not any(entry.conditions for entry in hp.space if "units" in entry.name)


def test_a_depth_that_is_chosen_from_a_list_has_units_for_the_deepest():
    hypermodel = HyperMLP((3,), 2, space={"layers": [0, 3]})
    assert "units_0" not in declared(hypermodel, layers=0).values
    assert "units_2" in declared(hypermodel, layers=3).values


def test_a_condition_that_cannot_hold_takes_the_name_away():
    assert "momentum" not in entries(
        declared(HyperMLP((3,), 2, space={"optimizer": "adamw"}))
    )


def test_search_with_sgdw_alone_begins_at_a_higher_rate():
    hp = declared(HyperMLP((3,), 2, space={"optimizer": "sgdw"}))
    assert hp.get("learning_rate") == 0.01
    sequences = HyperBiLSTMAttention((None, 4), 2, space={"optimizer": ["sgdw"]})
    assert declared(sequences).get("learning_rate") == 0.01
    adamw = HyperBiLSTMAttention((None, 4), 2)
    assert declared(adamw).get("learning_rate") == 0.005


def test_a_constant_rate_begins_lower_than_the_peak_of_a_cycle():
    hp = declared(HyperMLP((3,), 2, space={"schedule": "constant"}))
    assert hp.get("learning_rate") == 0.001
    assert declared(MLP).get("learning_rate") == 0.01


def test_defaults_are_the_recipes_of_the_examples():
    assert declared(MLP).values == {
        "layers": 3,
        **{f"units_{i}": 256 for i in range(3)},
        "activation": "relu",
        "normalization": "none",
        "residual": False,
        "dropout": 0.2,
        "optimizer": "adamw",
        "learning_rate": 0.01,
        "weight_decay": 0.01,  # 0.02 is beyond the range
        "schedule": "one_cycle",
        "batch_size": 32,
    }
    assert declared(HyperBiLSTMAttention((None, 4), 2)).values == {
        "layers": 2,
        "units_0": 64,
        "units_1": 64,
        "dropout": 0.2,
        "recurrent_dropout": 0.2,
        "attention": "additive",
        "query": "final_state",
        "optimizer": "adamw",
        "learning_rate": 0.005,
        "weight_decay": 0.01,
        "schedule": "one_cycle",
        "batch_size": 32,
    }


def test_a_range_begins_at_its_value_nearest_to_the_usual_one():
    space = {"dropout": (0.3, 0.4), "learning_rate": (1e-5, 1e-3), "layers": (1, 2)}
    hp = declared(HyperMLP((3,), 2, space=space))
    names = ("dropout", "learning_rate", "layers")
    assert [hp.get(name) for name in names] == [0.3, 1e-3, 2]


def test_definitions_of_the_tuner_go_before_those_of_the_hypermodel():
    hp = keras_tuner.HyperParameters()
    hp.Float("learning_rate", 0.2, 0.3)
    hp.Fixed("beta_2", 0.97)
    model = MLP.build(hp)
    assert hp.get("learning_rate") == 0.2
    assert model.optimizer.beta_2 == 0.97


def test_batch_size_none_takes_it_out():
    hypermodel = HyperMLP((3,), 2, space={"batch_size": None})
    assert "batch_size" not in entries(declared(hypermodel))


def test_untunable_hypermodels_add_nothing():
    hp = keras_tuner.HyperParameters()
    hypermodel = HyperMLP((3,), 2, tunable=False)
    hypermodel.declare_hyperparameters(hp)
    x = np.zeros((4, 3), "float32")
    model = hypermodel.build(hp)
    hypermodel.fit(hp, model, x, np.zeros(4), epochs=1, verbose=0)
    assert hp.space == []


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (["dropout"], r"must be a dict from their names, or None. Received: space=\["),
        ({"lr": 0.1}, "must name these: layers, units, .* Received: 'lr'"),
        ({"units_4": 8}, "must not name more than there are: 4 layers .* 'units_4'"),
        ({"dropout": 1.0}, r"`space\['dropout'\]` is the share .* below 1. Received"),
        ({"dropout": [0.1, 2]}, "share of units .* at least 0 and below 1"),
        ({"dropout": []}, "must hold at least one, each once. Received: "),
        ({"dropout": [0.3, 0.3]}, "each once"),
        ({"dropout": (0.4, 0.2)}, r"must be \(lowest; highest, above the lowest\)"),
        ({"dropout": (0.4,)}, "lowest; highest"),
        ({"weight_decay": (0.0, 0.1)}, "lowest, above 0; highest"),
        ({"learning_rate": (0.1, 0.4, 1)}, "factor from value to value .* above 1"),
        ({"batch_size": 0}, "number of rows per step and must be an integer at least"),
        ({"batch_size": 16.0}, "integer"),
        ({"activation": "rellu"}, "must be the name of a Keras activation"),
        ({"activation": ("relu", "tanh")}, "one value or a list of choices"),
        ({"optimizer": "adam"}, "must be one of 'adamw', 'sgdw', or a list of such"),
        ({"residual": 1}, "must be True or False"),
        ({"layers": -1}, "number of hidden layers"),
        ({"l1": 0.1}, "used only where penalty is 'l1' or 'elastic_net'. Received"),
        ({"optimizer": "adamw", "momentum": 0.9}, "only where optimizer is 'sgdw'"),
        ({"label_smoothing": 0.1}, "left out with integer labels"),
        ({"units": "8"}, r"`space\['units'\]` is the width .*space\['units'\]='8'"),
        (
            {"units": range(4, 8)},
            "one value, a list of choices or, for numbers, a range",
        ),
        ({"units_0": None}, r"`space\['units_0'\]` is the width .*=None"),
        ({"schedule": None}, "None is for `batch_size` alone.*schedule=None"),
        ({"scaling": ["robust"]}, "chooses a layer of `prepare`, which must be given"),
    ],
)
def test_space_is_checked_before_any_trial(space, words):
    with pytest.raises(ValueError, match=words):
        HyperMLP((3,), 2, space=space)


@pytest.mark.parametrize("scales", ["", "1,1", "0", "1,x", 1])
def test_scales_are_widths_with_commas(scales):
    with pytest.raises(ValueError, match="windows .* such as '1,4,16'"):
        HyperBiLSTMAttention((None, 4), 2, space={"scales": scales})
