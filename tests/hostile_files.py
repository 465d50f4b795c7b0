"""Files that somebody with bad intentions may have written, and what comes of each.

Run as a program, `python hostile_files.py FOLDER`: it writes the files into the
folder, opens each of them under an audit hook, and prints a line of JSON for each. A
hook cannot be taken away, hence a process of its own.
"""

import copy
import functools
import io
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import zipfile
from collections import Counter

import h5py
import numpy as np
from watches import Secrets, Watch, observed

BOMB = 1 << 29  # bytes of zeros, which become half a megabyte
TOO_MANY = 2**62  # units: no tensor has as many numbers
SECONDS = 30


def reference(module, name, config=None):
    return {
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": name,
    }


def function(module, name):
    return {**reference(module, "function", name), "registered_name": "function"}


LAMBDA = {
    "class_name": "__lambda__",
    "config": {"code": "4wAAAA==", "defaults": None, "closure": None},
}
# As the activation of a layer, as an initializer and in the place of a layer.
OBJECTS = {
    "lambda": LAMBDA,
    "lambda layer": reference("keras.layers", "Lambda", {"function": LAMBDA}),
    "os.system": reference("os", "system", "touch hacked"),
    "os.system as a function": function("os", "system"),
    "posix.system": function("posix", "system"),
    "subprocess": reference("subprocess", "Popen", {"args": ["touch", "hacked"]}),
    "eval": function("builtins", "eval"),
    "exec": reference("builtins", "exec", "import os"),
    "pickle": function("pickle", "loads"),
    "a module to import": reference("antigravity", "fly", {}),
    "webbrowser": function("webbrowser", "open"),
    "get_file": function("keras.utils", "get_file"),
    "unsafe": function("keras.config", "enable_unsafe_deserialization"),
    "dtype policy": function("keras.config", "set_dtype_policy"),
    "download": function("keras.datasets.mnist", "load_data"),
    "plot": function("keras.utils", "plot_model"),
    "load_model": function("keras.saving", "load_model"),
    "SavedModel": reference("keras.layers", "TFSMLayer", {"filepath": "saved"}),
    "vocabulary": reference(
        "keras.layers", "StringLookup", {"vocabulary": "honest/secret.txt"}
    ),
    "a private class": reference(
        "keras_trainkit._train_state.generations",
        "Generations",
        {"folder": "/", "keep": 1},
    ),
    "export": function("keras_trainkit.serving", "export"),
    "a callback": reference(
        "keras_trainkit.callbacks", "TrainState", {"directory": "state"}
    ),
}


def changed(value, *path, to):
    """A copy of nested dicts and lists with one entry replaced."""
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return value


def text_of(content):
    return content if isinstance(content, str | bytes) else json.dumps(content)


def archive(members, **options):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", **options) as file:
        for name, content in members:
            file.writestr(name, content)
    return target.getvalue()


def bomb(name, rest=()):
    return archive(
        [(name, bytes(BOMB)), *rest], compression=zipfile.ZIP_DEFLATED, compresslevel=1
    )


class Made:
    """What honest files hold: a model, an encoder, an estimator, and their folders."""

    def __init__(self, root):
        import keras

        from keras_trainkit import estimators, layers, models
        from keras_trainkit._train_state.generations import Generations
        from keras_trainkit._train_state.state_file import packed
        from keras_trainkit.estimators import _search_folder, _trial_file

        self.root = root
        root.mkdir(parents=True)
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(40, 3)).astype("float32")
        scaling = layers.StandardScaling()
        scaling.adapt(self.x)
        self.model = models.mlp(
            (3,), 2, (4,), scaling=scaling, task="classification", classes=["a", "b"]
        )
        self.model.save(root / "model.keras")
        with zipfile.ZipFile(root / "model.keras") as file:
            self.members = {name: file.read(name) for name in file.namelist()}
        self.config = json.loads(self.members["config.json"])
        self.table = {
            "number": self.x[:, 0].astype(float),
            "town": np.array(["Ulm", "Bonn"] * 20, object),
        }
        encoder = layers.TableEncoder()
        encoder.adapt(self.table)
        keras.saving.save_model(encoder, root / "encoder.keras")
        with zipfile.ZipFile(root / "encoder.keras") as file:
            self.encoder = {name: file.read(name) for name in file.namelist()}
        estimator = estimators.TableClassifier(
            hidden_units=(4,), members=1, epochs=1, validation=0.5, random_state=0
        )
        estimator.fit(self.table, self.table["town"])
        self.estimator = estimator.save(root / "estimator")
        self.probabilities = estimator.predict_proba(self.table)
        networks = _trial_file.TrialNetworks(
            [self.model.get_weights()], [{"loss": [1.0]}], self.x[:, :2], 0.5, False
        )
        _trial_file.write_trial(root / "trial", networks)
        _search_folder.begin(root / "search", {"format": 1, "seed": 3})
        (root / "state").mkdir()
        Generations(root / "state", 2).write(packed({"a": self.x, "epoch": 3}))
        self.model.save_weights(root / "model.weights.h5")
        self.secret, self.secret_text = root / "secret.h5", root / "secret.txt"
        with h5py.File(self.secret, "w") as file:
            file["0"] = np.ones((3, 4), "float32")
        self.secret_text.write_text("a\nb\n")

    def archive_with(self, **changes):
        names = {"config": "config.json", "weights": "model.weights.h5"}
        new = {names[key]: text_of(value) for key, value in changes.items()}
        return archive({**self.members, **new}.items())

    def layer(self, name):
        """The place of a layer in the config of the model."""
        found = self.config["config"]["layers"]
        (number,) = [n for n, entry in enumerate(found) if entry["name"] == name]
        return "config", "layers", number


def model_files(made):
    """Contents of `.keras` files by name."""
    import keras

    config = made.config
    dense = made.layer("dense_1")
    for name, hostile in OBJECTS.items():
        activation = made.layer("dense_1")
        places = {
            "activation": (*activation, "config", "activation"),
            "initializer": (*activation, "config", "kernel_initializer"),
        }
        for place, path in places.items():
            new = changed(config, *path, to=hostile)
            yield f"{name}, {place}", made.archive_with(config=new)
        whole = {**config["config"]["layers"][dense[-1]], **hostile}
        yield (
            f"{name}, layer",
            made.archive_with(config=changed(config, *dense, to=whole)),
        )
        yield f"{name}, alone", made.archive_with(config=hostile)
    counts = [-1, 0, 10**400, float("nan"), "4", [4], None, 1e300]
    if keras.config.backend() != "jax":  # where XLA ends the process
        counts.append(TOO_MANY)
    for value in counts:
        new = changed(config, *dense, "config", "units", to=value)
        yield f"units {str(value)[:9]}", made.archive_with(config=new)
    scaling = made.config["config"]["layers"][1]
    for key, value in (("build_config", {"input_shape": [None, 10**12]}),):
        whole = {**scaling, key: value}
        new = changed(config, "config", "layers", 1, to=whole)
        yield f"scaling of {key}", made.archive_with(config=new)
    head = made.layer("outputs")
    for key, value in (
        ("units", 3),
        ("classes", ["a", "a"]),
        ("classes", ["a", "b", "c"]),
        ("classes", [{"a": 1}, "b"]),
        ("classes", "ab"),
        ("task", "regression"),
        ("task", 7),
    ):
        new = changed(config, *head, "config", key, to=value)
        yield f"head with {key}={value}", made.archive_with(config=new)
    yield from archives(made)


def archives(made):
    config, rest = made.config, list(made.members.items())
    text = json.dumps(config)
    yield "loads: written again", made.archive_with(config=config)
    yield "no archive", b"not a file of Keras"
    yield "empty", b""
    yield "cut off", made.archive_with()[:-50]
    yield "no config", archive(rest[:1])
    yield "config is a list", made.archive_with(config=[config])
    yield "config is NaN", made.archive_with(config="NaN")
    yield "config is no UTF-8", made.archive_with(config=b"\xff\xfe{}")
    yield "deep", made.archive_with(config='{"config":' * 3000 + "1" + "}" * 3000)
    yield "deep lists", made.archive_with(config="[" * 10**6)
    yield "a bomb as config", bomb("config.json", rest[:1])
    weights = [entry for entry in rest if entry[0] != "model.weights.h5"]
    yield "a bomb as weights", bomb("model.weights.h5", weights)
    for name in ("../escaped", "/tmp/escaped-keras-trainkit", "assets/../../escaped"):
        # Loaded as ever: Keras takes the two files that it knows.
        yield f"loads: {name}", archive([*rest, (name, "hacked")])
    twice = text.replace('"name": "mlp"', '"name": "mlp", "name": "mlp"')
    yield "loads: a key twice", made.archive_with(config=twice)
    for name, content in weight_files(made):
        yield f"{name} inside", made.archive_with(weights=content)


def weight_files(made):
    """Contents of `.weights.h5` files by name."""
    original = (made.root / "model.weights.h5").read_bytes()
    secret = made.secret

    def edited(edit):
        path = made.root / "edited.h5"
        path.write_bytes(original)
        with h5py.File(path, "r+") as file:
            names = []
            file.visit(names.append)
            kernels = [n for n in names if getattr(file[n], "shape", None) == (3, 4)]
            edit(file, kernels[0])
        return path.read_bytes()

    def replaced(make):
        def edit(file, name):
            del file[name]
            make(file, name)

        return edited(edit)

    def external_data(file, name):
        place = [(str(secret), 0, 48)]
        file.create_dataset(name, (3, 4), "float32", external=place)

    def virtual(file, name):
        layout = h5py.VirtualLayout((3, 4), "float32")
        layout[:] = h5py.VirtualSource(str(secret), "0", (3, 4))
        file.create_virtual_dataset(name, layout)

    def huge(file, name):
        options = {"chunks": (1024, 1024), "compression": "gzip"}
        file.create_dataset(name, (2**20, 2**20), "float32", **options)

    def external_link(file, name):
        file[name] = h5py.ExternalLink(str(secret), "/0")

    def soft_link(file, name):
        file[name] = h5py.SoftLink("/nowhere")

    def texts(file, name):
        file[name] = np.full((3, 4), "a", h5py.string_dtype())

    yield "loads: edited", edited(lambda file, name: None)
    yield "external link", replaced(external_link)
    yield "soft link", replaced(soft_link)
    yield "external data", replaced(external_data)
    yield "virtual data", replaced(virtual)
    yield "a huge array", replaced(huge)
    yield "texts", replaced(texts)
    yield (
        "another shape",
        replaced(lambda f, n: f.create_dataset(n, data=np.ones((4, 4)))),
    )
    yield "a group", replaced(lambda f, n: f.create_group(n))
    yield "missing array", replaced(lambda f, n: None)
    yield "cut-off weights", original[:-400]
    yield "no HDF5", b"weights"


def encoder_files(made):
    config = json.loads(made.encoder["config.json"])
    columns = config["build_config"]["columns"]
    text = [c["kind"] for c in columns].index("categorical")
    number = 1 - text
    edits = [
        (number, "fill", float("nan")),
        (number, "center", float("nan")),
        (number, "spread", -1.0),
        (number, "spread", float("inf")),
        (number, "center", 10**400),
        (number, "center", "0"),
        (number, "fill", 1e300),
        (number, "rows", -1),
        (number, "rows", 2.5),
        (number, "missing", 10**6),
        (number, "kind", "code"),
        (number, "kind", ["numeric"]),
        (number, "cycles", ["week", "week"]),
        (number, "levels", ["a"]),
        (number, "name", ""),
        (text, "levels", []),
        (text, "levels", ["Ulm", "Ulm"]),
        (text, "levels", ["Ulm", 3]),
        (text, "levels", [None]),
        (text, "levels", "Ulm"),
        (text, "levels", {"Ulm": 1}),
        (text, "levels", ["\ud800"]),
        (text, "levels", [str(n) for n in range(300)]),
        (text, "rare", -1),
        (text, "absent", [7]),
        (text, "texts_of", "code"),
        (text, "text_notation", {"kind": "os"}),
    ]
    for column, key, value in edits:
        new = changed(config, "build_config", "columns", column, key, to=value)
        yield f"{key}={str(value)[:30]}", new
    yield "loads: written again", config
    yield "no columns", changed(config, "build_config", "columns", to=[])
    yield "columns of a text", changed(config, "build_config", "columns", to="ab")
    yield (
        "a column twice",
        changed(config, "build_config", "columns", to=columns[:1] * 2),
    )
    other = [{**columns[0], "another": 1}]
    yield "another field", changed(config, "build_config", "columns", to=other)


def files_of_estimators(made):
    """Edits of a copied folder, by name."""
    fields = json.loads((made.estimator / "estimator.json").read_text())

    def with_fields(content):
        def edit(folder):
            (folder / "estimator.json").write_bytes(
                content if isinstance(content, bytes) else text_of(content).encode()
            )

        return edit

    harmless = [("arguments", {}), ("history", {"dict": [[[], 1]]})]
    for key in fields:
        for value in (
            None,
            7,
            -1e308,
            "os.system",
            [],
            {},
            [[[]]],
            {"dict": [[[], 1]]},
        ):
            same = value == fields[key] or (key == "history" and value == {})
            if not same:
                edited = {**fields, key: value}
                kept = (key, value) in harmless
                yield f"{'loads: ' * kept}{key}={value}", with_fields(edited)
    yield "loads: written again", with_fields(fields)
    arguments = fields["arguments"]
    for key, value in (("epochs", -1), ("members", "x"), ("os", 1), ("dropout", 5)):
        edited = {**fields, "arguments": {**arguments, key: value}}
        yield f"argument {key}={value}", with_fields(edited)
    yield "fields are deep", with_fields("[" * 10**6)
    yield "fields are NaN", with_fields("NaN")
    yield "fields are a pickle", with_fields(b"\x80\x04cos\nsystem\n.")
    yield "fields of huge numbers", with_fields('{"format": 1' + "0" * 5000 + "}")
    yield "a FIFO as fields", in_place_of("estimator.json", os.mkfifo)
    yield "a folder as model", in_place_of("model.keras", os.mkdir)
    yield "a FIFO as encoder", in_place_of("encoder.keras", os.mkfifo)
    yield "a link to nothing", in_place_of("model.keras", link_to("/nowhere"))
    yield "a link to a device", in_place_of("estimator.json", link_to("/dev/zero"))
    yield "a link to a text", in_place_of("model.keras", link_to("/etc/passwd"))
    yield "a bomb as model", written("model.keras", lambda: bomb("config.json"))


def link_to(target):
    return lambda path: os.symlink(target, path)


def in_place_of(name, make):
    def edit(folder):
        (folder / name).unlink()
        make(folder / name)

    return edit


def written(name, content):
    return lambda folder: (folder / name).write_bytes(
        content() if callable(content) else content
    )


def files_of_trials(made):
    name = "networks.npz"
    with np.load(made.root / "trial" / name) as file:
        arrays = dict(file)
    about = json.loads(str(arrays["about"]))

    def saved(**new):
        target = io.BytesIO()
        np.savez(target, **{**arrays, **new})
        return written(name, target.getvalue())

    def about_of(content):
        return saved(about=np.array(text_of(content)))

    yield "loads: saved again", saved()
    for key, value in (
        ("weights", [-1]),
        ("weights", [10**12]),
        ("weights", ["a"]),
        ("weights", []),
        ("histories", [7]),
        ("histories", [{"loss": 7}]),
        ("predict_seconds", "x"),
    ):
        yield f"{key}={value}", about_of({**about, key: value})
    yield "about is deep", about_of("[" * 10**5)
    yield "about is an object", saved(about=np.array(print, object).astype(object))
    yield "outputs are objects", saved(outputs=np.array([[b"a", {}]] * 40, object))
    yield "outputs are texts", saved(outputs=np.full((40, 2), "a"))
    yield "outputs of complex numbers", saved(outputs=np.ones((40, 2), complex))
    yield "outputs are of another shape", saved(outputs=np.ones((40, 3)))
    yield "a weight of texts", saved(weight_0=np.full(arrays["weight_0"].shape, "a"))
    yield "a bomb", written(name, lambda: bomb("about.npy"))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (BOMB // 8,)}
    )
    zeros = header.getvalue() + bytes(BOMB)
    options = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 1}
    content = archive([("about.npy", zeros)], **options)
    yield "a bomb of zeros", written(name, content)
    yield "no archive", written(name, b"PK")
    yield "a FIFO", in_place_of(name, os.mkfifo)
    yield "a folder", in_place_of(name, os.mkdir)
    yield "a link to a device", in_place_of(name, link_to("/dev/zero"))


def files_of_searches(made):
    name = "automl.json"
    yield "loads: written again", written(name, b'{"seed": 3, "format": 1}')
    for content in (
        b"{",
        b"[]",
        b"7",
        b"null",
        b"NaN",
        b'{"format": 1}',
        b'{"format": 1, "seed": "a"}',
        b'{"format": 1, "seed": true}',
        b'{"format": 1, "seed": NaN}',
        b'{"format": 1, "seed": -1}',
        b'{"format": 1, "seed": 1' + b"0" * 400 + b"}",
        b'{"format": [[]], "seed": 1}',
        b"[" * 10**6,
        b"\xff\xfe",
    ):
        yield f"{content[:28]!r}", written(name, content)
    yield "a FIFO", in_place_of(name, os.mkfifo)
    yield "a folder", in_place_of(name, os.mkdir)
    yield "a link to a device", in_place_of(name, link_to("/dev/zero"))


def files_of_states(made):
    (generation,) = (made.root / "state").glob("gen-*")

    def inside(name, make):
        def edit(folder):
            in_place_of(f"{generation.name}/{name}", make)(folder)

        return edit

    for name in ("MANIFEST.json", "state.json", "arrays.bin"):
        yield f"a FIFO as {name}", inside(name, os.mkfifo)
        yield f"a folder as {name}", inside(name, os.mkdir)
        yield f"a link to a device as {name}", inside(name, link_to("/dev/zero"))
        yield f"{name} of zeros", written(f"{generation.name}/{name}", bytes(100))
    # Without the pointer a whole state is found by its name: nothing is lost.
    yield "loads: a FIFO as CURRENT", in_place_of("CURRENT", os.mkfifo)
    yield "loads: a folder as CURRENT", in_place_of("CURRENT", os.mkdir)
    yield "loads: CURRENT of ..", written("CURRENT", b"../../etc 00\n")
    yield (
        "loads: a link to a device as CURRENT",
        in_place_of("CURRENT", link_to("/dev/zero")),
    )
    honest = json.loads((generation / "state.json").read_text())
    arrays = (generation / "arrays.bin").read_bytes()
    yield "loads: signed again", signed(generation.name, honest, arrays)
    for number, values in enumerate(signed_values()):
        yield f"signed state {number}", signed(generation.name, values)


def signed_values():
    """Files with right hash sums, which anyone can compute."""
    yield {"values": {"@array": 10**9}, "arrays": []}
    yield {"values": {"@array": -1}, "arrays": [["float32", [0]]]}
    yield {"values": 1, "arrays": [["object", [1]]]}
    yield {"values": 1, "arrays": [["float32", [2**47, 2**47]]]}
    yield {"values": 1, "arrays": [["float32", [-1]]]}
    yield {"values": 1, "arrays": [["float32", [True]]]}
    yield {"values": 1, "arrays": [[["float32"], [1]]]}
    yield {"values": 1, "arrays": 7}
    yield "[" * 10**5


def signed(name, values, arrays=b""):
    def edit(folder):
        from damaged_states import list_anew

        (folder / name / "state.json").write_text(text_of(values))
        (folder / name / "arrays.bin").write_bytes(arrays)
        list_anew(folder / name)

    return edit


def cases(made, folder):
    """Triples: kind, name, path of a file or a folder as written."""
    contents = {"model": model_files(made), "weights": weight_files(made)}
    contents["encoder"] = (
        (name, archive({**made.encoder, "config.json": json.dumps(config)}.items()))
        for name, config in encoder_files(made)
    )
    for kind, files in contents.items():
        for number, (name, content) in enumerate(files):
            end = "weights.h5" if kind == "weights" else "keras"
            path = folder / f"{kind}-{number}.{end}"
            path.write_bytes(content)
            yield kind, name, path
    folders = {
        "estimator": files_of_estimators,
        "trial": files_of_trials,
        "search": files_of_searches,
        "state": files_of_states,
    }
    for kind, edits in folders.items():
        for number, (name, edit) in enumerate(edits(made)):
            path = folder / f"{kind}-{number}"
            shutil.copytree(made.root / kind, path)
            edit(path)
            yield kind, name, path


def opened(kind, path, made):
    """Opens it as a user does; False if it is another than the honest one."""
    import keras

    from keras_trainkit import estimators
    from keras_trainkit._train_state.generations import Generations
    from keras_trainkit.estimators import _search_folder, _trial_file

    if kind == "model":
        model = keras.saving.load_model(path)
        return _same(made.model(made.x), model(made.x))
    if kind == "encoder":
        encoder = keras.saving.load_model(path)
        return bool(encoder(made.table))
    if kind == "weights":
        model = keras.models.clone_model(made.model)
        model.load_weights(path)
        return _same(made.model(made.x), model(made.x))
    if kind == "estimator":
        found = estimators.TableClassifier.load(path)
        return _same(made.probabilities, found.predict_proba(made.table))
    if kind == "trial":
        seconds = _trial_file.read_predict_seconds(path)
        trial = _trial_file.read_trial(path, 1, (40, 2))
        if trial is None:
            raise ValueError(f"no trial ({seconds})")
        return _same(made.x[:, :2], trial.outputs)
    if kind == "search":
        return _search_folder.seed_in(path) == 3
    state, _ = Generations(path, 2).read()
    return state["epoch"] == 3 and _same(state["a"], made.x)


def _same(first, second):
    from keras import ops

    first, second = ops.convert_to_numpy(first), ops.convert_to_numpy(second)
    return bool(np.allclose(first, second, atol=1e-5))


class TookTooLong(BaseException):
    pass


def _stop(*_):
    raise TookTooLong


def in_time(action):
    signal.alarm(SECONDS)
    try:
        return action()
    finally:
        signal.alarm(0)


def main(root):
    import keras

    root = pathlib.Path(root).resolve()
    (root / "temporary").mkdir()
    tempfile.tempdir = str(root / "temporary")
    os.chdir(root)
    made = Made(root / "honest")
    folder = root / "hostile"
    folder.mkdir()
    written_cases = list(cases(made, folder))
    for kind in ("model.keras", "encoder.keras", "model.weights.h5"):
        assert opened(
            kind.split(".")[-2 if "weights" in kind else 0], made.root / kind, made
        )
    for kind in ("estimator", "trial", "search", "state"):
        assert opened(kind, made.root / kind, made), kind
    watch = Watch(root)
    secrets = Secrets(made.secret, made.secret_text)
    sys.addaudithook(watch)
    signal.signal(signal.SIGALRM, _stop)
    policy = keras.config.dtype_policy().name
    for kind, name, path in written_cases:
        opening = functools.partial(opened, kind, path, made)
        result = observed(functools.partial(in_time, opening), watch, secrets)
        result |= {"kind": kind, "name": name}
        result["policy"] = keras.config.dtype_policy().name == policy
        print(json.dumps(result), flush=True)
    # Only where none of them has ended the process.
    print(json.dumps(dict(Counter(kind for kind, _, _ in written_cases))))


if __name__ == "__main__":
    main(sys.argv[1])
