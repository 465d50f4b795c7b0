"""
Train on a table
================

``python examples/train_table.py``: from a CSV file, here scikit-learn's table of breast
cancer, to a served model. 4 members and 6 epochs, so that this page is
built quickly.
"""

import pathlib
import tempfile

import train_table  # of examples/

folder = pathlib.Path(tempfile.mkdtemp())
scores = train_table.main(out=folder, members=4, epochs=6, verbose=0)

# %%
# What it has written:

print(*sorted(str(file.relative_to(folder)) for file in folder.rglob("*.*")), sep="\n")

# %%
# The SavedModel answers to columns, without the kit and without Keras; the request is
# the one that was stored beside it:

import json

import tensorflow as tf

served = tf.saved_model.load(folder / "saved_model" / "1")
stored = folder / "saved_model" / "1" / "assets.extra" / "golden_request.json"
columns = json.loads(stored.read_text())["inputs"]
answer = served.signatures["serving_default"](
    **{name: tf.constant(column, tf.float64) for name, column in columns.items()}
)
print(answer["label"].numpy(), answer["probabilities"].numpy().round(2), sep="\n")

# %%
# The whole example
# -----------------
# .. literalinclude:: ../../examples/train_table.py
#    :language: python
