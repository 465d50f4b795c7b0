"""Keeps the folders of one table, or one kind of sequence, apart from another's.

The versions in `saved_model/` answer the same requests, so a model of other data is not
exported beside them. That is said before it is trained, and before a file of the other
is written over.
"""

import json

NAME = "served_data.json"


def check_folder(out, data):
    """Refuses other data than `out` has a served model of.

    Args:
        out: Path. The folder of one example.
        data: Dict of what the inputs and outputs of the served model follow.
    """
    note = out / NAME
    try:
        before = json.loads(note.read_text()) if note.exists() else data
    except ValueError:
        before = {}  # broken: of nobody knows what
    for name, value in data.items():
        if before.get(name) != value:
            raise ValueError(
                "`out` is the folder of one served model, whose clients rely on its "
                "inputs and outputs, and must be another one for other data. Received: "
                f"out={str(out)!r}, with {name} {before.get(name)} there and {value} "
                "now."
            )


def note_data(out, data):
    """Notes what `check_folder` reads, once the model is served."""
    (out / NAME).write_text(json.dumps(data))
