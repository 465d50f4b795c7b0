"""What searches need on TensorFlow alone, and what layers need in its data sets.

Imported by module; TensorFlow itself only where it is the backend, or where a data set
has imported it.
"""
