SHARED = {
    "learning_rate": 0.02,
    "decay_biases_and_scales": True,
    "clipnorm": 0.7,  # Keras allows one of the three limits
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": True,
    "ema_momentum": 0.97,
    "ema_overwrite_frequency": 5,
    "loss_scale_factor": 8.0,
    "gradient_accumulation_steps": 3,
    "name": "a_name",
}
CASES: dict[str, dict] = {
    "AdamW": {
        **SHARED,
        "weight_decay": 0.03,
        "beta_1": 0.8,
        "beta_2": 0.95,
        "epsilon": 1e-5,
        "amsgrad": True,
    },
    "SGDW": {**SHARED, "momentum": 0.6, "nesterov": True, "weight_decay": 0.04},
}
