CASES: dict[str, dict] = {
    "LearnableSwish": {"initial_beta": 0.4, "per_channel": True},
    # A list, since JSON has no pairs.
    "MinMaxScaling": {"range": [-1, 2.5], "outside": "extend"},
    "RobustScaling": {"clip": 2.5},
    "StandardScaling": {},
    "VariationalLSTM": {
        "units": 5,
        "bidirectional": True,
        "return_sequences": True,
        "dropout": 0.1,
        "recurrent_dropout": 0.2,
        "output_dropout": 0.3,
        "recurrent_weight_dropout": 0.4,
        "unit_forget_bias": False,
        "return_state": True,
        "seed": 7,
        "kernel": "reference",
    },
    "AttentionPooling": {"score": "additive", "query": "learned", "units": 5},
    "MultiScale": {"scales": [3, 5], "method": "stride", "join": False},
    "SequenceTruncation": {"max_length": 70, "keep": "end"},
}
