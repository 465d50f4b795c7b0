"""What searches need on TensorFlow and on no other backend; elsewhere it does nothing.

Imported by module; TensorFlow itself only where it is the backend.
"""
