"""Parts that exist for JAX alone: processes that train one model together.

Imported by module; JAX itself only where it is the backend.
"""
