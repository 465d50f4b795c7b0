"""
Search for an MLP
=================

``python examples/search_mlp.py --method random hyperband``: two searches of one space
on scikit-learn's digits, side by side, and the best model of both, served. 3 epochs a
trial, so that this page is built quickly.
"""

import pathlib
import tempfile

import search_mlp  # of examples/

from keras_trainkit import analysis

folder = pathlib.Path(tempfile.mkdtemp())
found, scores = search_mlp.main(
    method=["random", "hyperband"], trials=12, epochs=3, out=folder, verbose=0
)

# %%
# Where did the random search look?

tuner = found["random"]
analysis.plot_parallel_coordinates(tuner, folder / "trials.png")

# %%
# What mattered? (12 trials are few: see how many bars stay below the line of chance.)

shares = analysis.plot_importances(tuner, folder / "importances.png")

# %%
# How do two of them act together?

analysis.plot_contour(tuner, folder / "contour.png", ("learning_rate", "dropout"))

# %%
# All trials:

print(tuner.trials_frame().iloc[:, :7].to_string())

# %%
# The whole example
# -----------------
# .. literalinclude:: ../../examples/search_mlp.py
#    :language: python
