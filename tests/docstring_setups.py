"""What the examples of docstrings take for granted, as small as it may be.

`SETUPS` maps a public part to lines that run before its example, in the same names.
"""

ROWS = """
rng = np.random.default_rng(0)
x = rng.normal(size=(480, 30)).astype("float32")
y = (x[:, 0] > 0).astype("int32")
x_train, y_train, x_valid, y_valid = x[:320], y[:320], x[320:], y[320:]
x_val, y_val, x_validation, y_validation = x_valid, y_valid, x_valid, y_valid
"""
MODEL = ROWS + "model = models.mlp((30,), 1, (8,))\n"
COMPILED = MODEL + "model.compile('adam', keras.losses.BinaryCrossentropy(True))\n"
BUILDER = """
def build_model(hp):
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    model = models.mlp((30,), 1, (4,))
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model
"""
# Scores by a formula, so that ten trials are there at once.
TRIALS = """
class Formula(tuners.RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        hp = trial.hyperparameters
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        return {"val_loss": abs(math.log10(rate) + 2) + hp.Float("dropout", 0.0, 0.5)}


tuner = Formula(max_trials=10, seed=0)
"""
SEARCHED = TRIALS + "tuner.search(verbose=0)\n"
SETUPS = {
    "analysis.compare_searches": SEARCHED + "random_tuner = hyperband_tuner = tuner",
    "analysis.learning_rate_range_test": COMPILED,
    "analysis.plot_contour": SEARCHED,
    "analysis.plot_gradients": COMPILED,
    "analysis.plot_importances": SEARCHED,
    "analysis.plot_parallel_coordinates": ROWS + TRIALS,
    "callbacks.GradientMonitor": COMPILED,
    "analysis.report": COMPILED,
    "analysis.run_description": COMPILED,
    "analysis.runs": COMPILED,
    "analysis.sensitivity": ROWS,
    "analysis.sharpness": COMPILED,
    "callbacks.OneCycle": MODEL,
    "callbacks.StartDecay": MODEL,
    "callbacks.TrainState": MODEL,
    "data.TableBatches": """
table = pd.DataFrame({"rooms": [3.0, 4.0, 5.0, 3.5], "price": [1.0, 2.0, 3.0, 1.5]})
table.to_csv("train.csv", index=False)
encoder = layers.TableEncoder()
encoder.adapt(table[["rooms"]])
model = models.mlp(encoder.numeric_shape, 1, category_sizes=encoder.category_sizes)
model.compile(keras_trainkit.optimizers.AdamW(), "mse")
""",
    "data.split": ROWS + "table, inputs = pd.DataFrame(x), {'numbers': x}",
    "hypermodels.HyperBiLSTMAttention": """
x_train, y_train = np.zeros((20, 5, 9), "float32"), np.arange(20) % 6
x_valid, y_valid = x_train, y_train
""",
    "hypermodels.HyperMLP": ROWS,
    "initializers.lsuv": ROWS + "x_train = np.tile(x_train, (4, 1))",
    "layers.FeatureSelection": ROWS,
    "layers.LearnableSwish": "x = keras.Input((4,))",
    "layers.MiniRocket": "x_train = np.ones((9, 150, 2), 'float32')\nx_test = x_train",
    "layers.PCAProjection": ROWS,
    "layers.PeriodicEmbedding": "scaled = np.zeros((2, 5), 'float32')",
    "layers.PiecewiseLinearEmbedding": ROWS,
    # Its first example saves an encoder that is there.
    "layers.TableEncoder": """
encoder = keras_trainkit.layers.TableEncoder()
encoder.adapt({"age": [20.0, 40.0]})
""",
    # Its logits are the first column: mostly right, and not sure enough or too sure.
    "layers.TemperatureScaling": ROWS
    + """
y_validation = y_validation ^ (rng.random(len(y_validation)) < 0.1)
inputs = keras.Input((30,))
model = keras.Model(inputs, inputs[:, :1])
""",
    "layers.RadialBasis": ROWS,
    "models.kernel_machine": ROWS,
    "models.mini_rocket": """
x_train = np.random.default_rng(0).normal(size=(9, 30, 2)).astype("float32")
""",
    "models.predict_proba": """
x = np.zeros((1, 2), "float32")
models.mlp((2,), 1, task="binary", classes=["no", "yes"]).save("model.keras")
""",
    "schedules.OneCycle": ROWS
    + "max_lr, N, p, div_factor, final_div_factor = 0.1, 100, 0.3, 25, 1e4",
    "schedules.WarmupStableDecay": MODEL,
    "tuners.RandomSearch": ROWS + BUILDER,
}
# So that searches and runs are over in a second.
SHORTER = [
    ("(epochs=5, ", "(epochs=1, members=1, hidden_units=(4,), "),
    ("max_trials=20", "max_trials=1"),
    ("warmup_steps=500", "warmup_steps=5"),
    ("epoch=40", "epoch=1"),
    ("epochs=10", "epochs=1"),
    ("epochs=20", "epochs=2"),
    ("epochs=30", "epochs=1"),
    ("epochs=50", "epochs=2"),
]
