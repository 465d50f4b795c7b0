"""States on disk that somebody has changed."""

from keras_trainkit._train_state import generations, state_file


def list_anew(generation):
    """Writes sizes and sums that fit the changed files, as an attacker would."""
    names = (state_file.VALUES, state_file.ARRAYS)
    files = {name: [(generation / name).read_bytes()] for name in names}
    generations._write_manifest(generation, files)
