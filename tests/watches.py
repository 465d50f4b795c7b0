"""What an action does beside its result: processes, files, imports, memory.

The audit hook sees what Python does. What is opened in C, as by HDF5, and the most
memory of one action only Linux tells.
"""

import ast
import ctypes
import os
import pathlib
import resource
import struct
import sys
import time

LINUX = sys.platform == "linux"
ACTIONS = [
    "os.chdir",
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
    "pickle.find_class",
    "webbrowser.open",
    "urllib.Request",
    "ctypes.dlopen",
]
CODE = ("exec", "compile", "marshal.loads", "code.__new__", "function.__new__")
CHANGES = [
    "shutil.rmtree",
    "shutil.move",
    "shutil.copyfile",
    "os.truncate",
    "os.chown",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.chmod",
    "os.link",
    "os.symlink",
]
LIBRARIES = [
    "keras",
    "keras_trainkit",
    "keras_tuner",
    "tensorflow",
    "jax",
    "jaxlib",
    "torch",
    "numpy",
    "h5py",
    "encodings",
    "optree",
    "ml_dtypes",
    "absl",
    "google",
    "scipy",
    "sklearn",
    "narwhals",
    "pandas",
]


class Watch:
    """An audit hook that notes what goes on beside reading.

    Args:
        root: Folder that holds all files, in which all may be written.
    """

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.seen = []
        self.on = False

    def __call__(self, event, arguments):
        if not self.on:
            return
        if event in ACTIONS:
            self.seen.append(f"{event} {arguments!r}"[:120])
        elif event == "open":
            self._open(*arguments)
        elif event in CHANGES and not all(map(self._is_inside, arguments[:2])):
            self.seen.append(f"{event} {arguments!r}"[:120])
        elif event == "import" and arguments[0].split(".")[0] not in LIBRARIES:
            if arguments[0].split(".")[0] not in sys.modules:
                self.seen.append(f"import {arguments[0]}")
        elif event in CODE and not _harmless():
            self.seen.append(event)

    def _open(self, path, mode, flags):
        writing = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writing and not self._is_inside(path) and path != "/dev/null":
            self.seen.append(f"open {path} to write")

    def _is_inside(self, path):
        if not isinstance(path, str | bytes | os.PathLike):
            return True  # a descriptor that was opened before, a mode
        return pathlib.Path(os.fsdecode(path)).resolve().is_relative_to(self.root)


def _harmless():
    frame = sys._getframe(2)
    while frame is not None:
        # NumPy reads the head of an array by `ast.literal_eval`, which only parses.
        if "importlib" in frame.f_code.co_filename or frame.f_globals is vars(ast):
            return True
        frame = frame.f_back
    return False


class Secrets:
    """Files that none may open, neither Python nor a library in C (Linux: inotify).

    Args:
        paths: Files that exist.
    """

    IN_OPEN, HEAD = 0x20, struct.Struct("iIII")

    def __init__(self, *paths):
        self.paths = {}
        if LINUX:
            kernel = ctypes.CDLL(None, use_errno=True)
            self.queue = kernel.inotify_init1(os.O_NONBLOCK)
            for path in paths:
                name = os.fsencode(path)
                number = kernel.inotify_add_watch(self.queue, name, self.IN_OPEN)
                assert number >= 0, os.strerror(ctypes.get_errno())
                self.paths[number] = path

    def opened(self):
        """Those that were opened since the last call."""
        if not LINUX:
            return []
        try:
            events = os.read(self.queue, 1 << 16)
        except BlockingIOError:
            return []
        found, at = [], 0
        while at < len(events):
            number, _, _, length = self.HEAD.unpack_from(events, at)
            found.append(self.paths[number])
            at += self.HEAD.size + length
        return sorted(set(found))


def forget_peak():
    """The most memory ever used is again what is used now; on Linux alone."""
    if LINUX:
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak():
    """The most memory used since `forget_peak`, in megabytes."""
    if not LINUX:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    status = pathlib.Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024


def observed(action, watch, secrets):
    """What comes of an action: its result or error, and what it did beside it.

    Nothing that it raises gets out, `SystemExit` neither.
    """
    found = {}
    secrets.opened()
    forget_peak()
    watch.seen, before, start = [], peak(), time.monotonic()
    watch.on = True
    try:
        found["loaded"] = action()
    except BaseException as error:
        found["error"] = type(error).__name__
        found["text"] = str(error)[:150]
    watch.on = False
    found["megabytes"] = peak() - before
    found["seconds"] = round(time.monotonic() - start, 2)
    read = [f"open {path}" for path in secrets.opened()]
    return {**found, "seen": [*watch.seen, *read]}
