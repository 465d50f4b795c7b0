"""Loads Keras without the lines that TensorFlow prints while it starts.

Imported before all else, also by a script of your own that has this file beside it.
`TF_CPP_MIN_LOG_LEVEL` alone hides only what TensorFlow says once it runs: the first
lines go past every setting to file 2, so that file is read here and goes on without
them. Errors of Python are shown as ever.
"""

import os
import re
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # fatal errors alone
NOISE = re.compile(
    rb"WARNING: All log messages before absl|[IWE]\d{4} \d\d:|To enable the"
)


def load_keras():
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            import keras  # noqa: F401

            import keras_trainkit  # noqa: F401
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            for line in held:
                if not NOISE.match(line):
                    sys.stderr.write(line.decode(errors="replace"))


if "keras" not in sys.modules:
    load_keras()
