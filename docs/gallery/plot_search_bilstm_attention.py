"""
Search for a BiLSTM
===================

``python examples/search_bilstm_attention.py``: a search over stacked bidirectional
LSTM layers with attention, on scikit-learn's digits row by row, to a served model. 4
trials of 2 epochs, so that this page is built quickly.
"""

import pathlib
import tempfile

import search_bilstm_attention  # of examples/

folder = pathlib.Path(tempfile.mkdtemp())
found, scores = search_bilstm_attention.main(
    method=["random"], trials=4, epochs=2, out=folder, verbose=0
)

# %%
# The best configuration:

print(found["random"].get_best_hyperparameters()[0].values)

# %%
# The whole example
# -----------------
# .. literalinclude:: ../../examples/search_bilstm_attention.py
#    :language: python
