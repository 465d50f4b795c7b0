"""Shares of a training step by kind of work, read from TensorFlow's profiler.

The profiler records when each operation began and ended, also those that XLA has
compiled (`MatMul.8`, `add_divide_fusion`). An operation counts without what ran inside
it; `row_of` tells by its name which row of the table it belongs to.
"""

import collections
import pathlib
import re
import tempfile

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

# The place is where in the model, the kind what comes behind it, as in
# `functional_1/dense_1/Tensordot/MatMul:_MklMatMul`. Of all patterns the first counts.
PLACES = {
    "attention and head": r"/(dense|dot|softmax|flatten)|loss|mean_squared|compile",
    "optimizer": r"adam_?w",
    "masks and random numbers": r"dropout|random|seed",
}
SCHEDULING = "loop and scheduling"
KINDS = {
    "filling and copying memory": r"broadcast|copy|fill|zeros|reshape|expanddims",
    "transposes, concatenations, slices": r"transpose|concat|slice|split|reverse|pack"
    r"|gather",
    "lists of steps": r"tensorlist|tensorarray",
    SCHEDULING: r"while|executor|switch|merge|loopcond|call|less|identity|variableop",
    "element-wise, and sums": r"mul|add|sub|sigmoid|tanh|sum|div|square|sqrt|cast|neg"
    r"|select|maximum|minimum|exp|logical|and",
}
ALL_STEPS, ONE_STEP = "matrix products of all steps", "matrix products in the loop"
ELEMENT_WISE = "element-wise, and sums"
ROWS = [ALL_STEPS, ONE_STEP, ELEMENT_WISE, *PLACES, *list(KINDS)[:-1], "the rest"]


def row_of(name):
    name = name.split("#")[0].lower()
    if "::" in name:  # a part of TensorFlow itself, `ExecutorState::Process`
        return SCHEDULING
    place, _, kind = name.rpartition(":")
    for row, pattern in PLACES.items():
        if re.search(pattern, place):
            return row
    if "matmul" in kind:
        return ALL_STEPS if place and "while" not in place else ONE_STEP
    if not place and "fusion" in kind:  # computes, even where it writes a slice last
        return ELEMENT_WISE
    for row, pattern in KINDS.items():
        if re.search(pattern, kind):
            return row
    return "the rest"


def own_times(line):
    """Name and own time of each event: without the events inside it."""
    open_events = []
    order = sorted(line, key=lambda event: (event[0], -event[1]))
    for start, duration, name in order:
        while open_events and open_events[-1][0] <= start:
            _, own, closed = open_events.pop()
            yield closed, own
        if open_events:
            open_events[-1][1] -= duration
        open_events.append([start + duration, duration, name])
    for _, own, name in open_events:
        yield name, own


def lines_of(folder):
    """The events of each thread that runs operations: start, duration, name."""
    for file in pathlib.Path(folder).rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
        for plane in space.planes:
            names = plane.event_metadata
            for line in plane.lines:
                if line.name != "python":
                    yield [
                        (e.offset_ps, e.duration_ps, names[e.metadata_id].name)
                        for e in line.events
                    ]


def profile(step, repeats):
    """Seconds of one step in each row, after `step` has compiled."""
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(repeats):
                step()
        totals = collections.Counter()
        for line in lines_of(folder):
            for name, own in own_times(line):
                totals[row_of(name)] += own / 1e12 / repeats
    return totals
