CASES: dict[str, dict] = {
    "LearnableSwish": {"initial_beta": 0.4, "per_channel": True},
    # A list, since JSON has no pairs.
    "MinMaxScaling": {"range": [-1, 2.5], "outside": "extend"},
    "RobustScaling": {"clip": 2.5},
    "StandardScaling": {},
}
