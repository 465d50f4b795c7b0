import os
import weakref
from typing import Any, NoReturn

import keras


class NewModels:
    """Refuses models that go on with what earlier ones have learned.

    Args:
        purpose: Begin of the error: what makes the models and of what, such as
            "`build` makes the model of a fold".
        why: What would be wrong.
    """

    def __init__(self, purpose: str, why: str) -> None:
        self._purpose, self._why = purpose, why
        self._parts: weakref.WeakSet = weakref.WeakSet()
        self._directories: set[str] = set()

    def check_model(self, model: Any) -> None:
        named = [("a model", model)]
        if isinstance(model, keras.Model):
            named.append(("an optimizer", model.optimizer))
        for name, part in named:
            if part in self._parts:
                self._refuse(f"{name} of its own", f"that of an earlier one, {part!r}")
            self._parts.add(part)

    def check_directory(self, tuner: Any) -> None:
        directory = os.path.abspath(os.fspath(tuner.project_dir))
        if directory in self._directories:
            self._refuse("a tuner with a directory of its own", f"{directory!r} again")
        self._directories.add(directory)

    def _refuse(self, allowed: str, received: str) -> NoReturn:
        raise ValueError(
            f"{self._purpose} and must return {allowed}, or {self._why}. "
            f"Received: {received}."
        )
