"""Parts that exist for TensorFlow alone: its registry of gradients, its data sets.

Imported by module; TensorFlow itself only where it is the backend, or where a data set
has imported it.
"""
