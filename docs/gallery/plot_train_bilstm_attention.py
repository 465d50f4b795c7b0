"""
Train on sequences
==================

``python examples/train_bilstm_attention.py``: from sequences, here scikit-learn's
digits row by row, to a served model. 16 units and 12 epochs, less than by the recipe,
so that this page is built quickly.
"""

import pathlib
import tempfile

import train_bilstm_attention  # of examples/

folder = pathlib.Path(tempfile.mkdtemp())
scores = train_bilstm_attention.main(out=folder, epochs=12, units=16, verbose=0)

# %%
# The first picture has the learning curves, the second the weight of each step of one
# sequence, and below them the sequence itself. With ``--text FILE`` the words would
# stand there.
#
# The whole example
# -----------------
# .. literalinclude:: ../../examples/train_bilstm_attention.py
#    :language: python
