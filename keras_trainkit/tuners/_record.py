"""What a study says of the search as a whole."""

import json

import keras_tuner

from keras_trainkit.tuners._seeds import derive

_SEARCH = "keras_trainkit"
_DATA = "data"
_VALUES = "values"
_SPACE = "space"
_NEW = "space:"
_CHOSEN = "chosen:"


class Record:
    """Attributes of the study. Each is written once, or under a name of its own.

    Args:
        store: `Store`.
    """

    def __init__(self, store):
        self._store = store

    def agree(self, description: dict, kind=_SEARCH):
        """Writes what the search is, or refuses a study that is of another one.

        What a study of an earlier release does not say is no reason to refuse it.

        Args:
            description: Dict of plain values.
            kind: String. What is described, the name it is kept under.
        """
        written = self._once(kind, description)
        for name, value in description.items():
            if name in written and written[name] != value:
                raise ValueError(
                    f"The study {self._store.name!r} goes on only as the search that "
                    f"it was begun as, with {name}={written.get(name)!r}; use another "
                    f"`project_name` or `overwrite=True` for a new one. "
                    f"Received: {name}={value!r}."
                )

    def agree_on_data(self, shapes: dict, values: dict):
        """Likewise of the data, from `described`."""
        written = self._attrs().get(_DATA, {})
        told = shapes if written else {**shapes, _VALUES: values}
        self.agree(_plain(told), _DATA)
        before = written.get(_VALUES, values)  # earlier releases wrote none
        changed = [name for name in values if before.get(name) != values[name]]
        if changed:
            raise ValueError(
                f"The study {self._store.name!r} goes on only with the data that it "
                "was begun with, bit for bit; use another `project_name` or "
                "`overwrite=True` for a new search. Received: other values of "
                f"{', '.join(changed)}."
            )

    def begin(self, description: dict) -> int:
        """Writes what a new search is; returns the seed of the first to do so."""
        return self._once(_SEARCH, description)["seed"]

    def seed(self):
        """The seed written at the first start; None in a new study."""
        return self._attrs().get(_SEARCH, {}).get("seed")

    def space(self) -> keras_tuner.HyperParameters | None:
        """The search space, with what was found in trials; None in a new study."""
        attrs = self._attrs()
        if _SPACE not in attrs:
            return None
        found = [attrs[name] for name in sorted(attrs) if name.startswith(_NEW)]
        space = keras_tuner.HyperParameters.from_config(
            {"space": [*attrs[_SPACE], *found], "values": {}}
        )
        for hp in space.space:
            if space.is_active(hp):
                space.values.setdefault(hp.name, hp.default)
        return space

    def agree_on_space(self, space: keras_tuner.HyperParameters):
        """Writes the space that building shows, or refuses another one."""
        wanted = _plain(space.get_config()["space"])
        written = self._once(_SPACE, wanted)
        if {_key(hp) for hp in written} != {_key(hp) for hp in wanted}:
            changed = {_key(hp) for hp in written} ^ {_key(hp) for hp in wanted}
            names = sorted({json.loads(key)["config"]["name"] for key in changed})
            raise ValueError(
                f"The study {self._store.name!r} goes on only over the space that it "
                "was begun with; use another `project_name` or `overwrite=True` for a "
                f"new search. Received: other definitions of {', '.join(names)}."
            )

    def add_to_space(self, configs: list[dict]):
        """Writes definitions that only trials have shown."""
        for config in _plain(configs):
            self._write(f"{_NEW}{derive(config):010d}", config)

    def choose(self, values: dict):
        """Queues values chosen by hand; the same values once only."""
        key = f"{_CHOSEN}{derive(sorted(values.items(), key=str)):010d}"
        attrs = self._attrs()
        if key not in attrs:
            order = sum(name.startswith(_CHOSEN) for name in attrs)
            self._write(key, {"key": key, "order": order, "values": values})

    def chosen(self) -> list[dict]:
        """What was queued by hand, in its order."""
        attrs = self._attrs()
        found = [value for name, value in attrs.items() if name.startswith(_CHOSEN)]
        return sorted(found, key=lambda entry: (entry["order"], entry["key"]))

    def _attrs(self):
        return self._store.study.user_attrs

    def _once(self, name, value):
        """What is written there: by whoever came first, maybe by this call."""
        attrs = self._attrs()
        if name not in attrs:
            self._store.add_attribute(name, value)
            attrs = self._attrs()
        return attrs[name]

    def _write(self, name, value):
        self._store.study.set_user_attr(name, value)


def _plain(config):
    return json.loads(json.dumps(config))


def _key(config):
    """The definition but for its default, which no search depends on."""
    told = {name: part for name, part in config["config"].items() if name != "default"}
    return json.dumps({**config, "config": told}, sort_keys=True)
