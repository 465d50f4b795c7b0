"""
Find a learning rate
====================

A range test, and one cycle up to the rate that it suggests.
"""

import pathlib
import tempfile

import keras
from sklearn.datasets import load_digits

from keras_trainkit import analysis, callbacks, layers, models, optimizers

keras.utils.set_random_seed(0)
folder = pathlib.Path(tempfile.mkdtemp())
x, y = load_digits(return_X_y=True)
scaling = layers.StandardScaling()
scaling.adapt(x)
model = models.mlp((64,), 10, (64, 64), scaling=scaling, task="classification")
loss, metrics = models.loss_for(model), models.metrics_for(model)
model.compile(optimizers.AdamW(), loss, metrics=metrics)

# %%
# The test trains 100 steps at rising rates, and undoes them:

sweep = analysis.learning_rate_range_test(model, x, y)
sweep.plot(folder / "range_test.png")
print(sweep.suggestions, sweep.reason, sep="\n")

# %%
# One cycle up to that rate:

one_cycle = callbacks.OneCycle(sweep.suggestion)
history = model.fit(
    x, y, validation_split=0.2, epochs=10, callbacks=[one_cycle], verbose=0
)
analysis.plot_learning_curves(history, folder / "learning_curves.png")
