"""What a `VariationalLSTM` may be made of and called with."""

from keras import ops

from keras_trainkit._checks import (
    check_choice,
    check_count,
    check_flag,
    check_number,
    check_seed,
)

RATES = {
    "dropout": "is the share of the inputs dropped while training",
    "recurrent_dropout": "is the share of the states dropped on their way into the "
    "gates while training",
    "output_dropout": "is the share of the outputs dropped while training",
    "recurrent_weight_dropout": "is the share of the recurrent weights set to 0 "
    "while training",
}
FLAGS = {
    "bidirectional": "adds a second direction",
    "return_sequences": "keeps every step",
    "unit_forget_bias": "starts it at 1",
    "return_state": "adds the final states",
}


def check_arguments(layer):
    check_count("units", layer.units, "is the width of one direction", at_most=8192)
    for name, purpose in FLAGS.items():
        check_flag(name, getattr(layer, name), purpose)
    for name, purpose in RATES.items():
        check_number(name, getattr(layer, name), purpose, at_least=0, below=1)
    check_seed("seed", layer.seed)
    choices = ("auto", "fused", "reference")
    check_choice("kernel", layer.kernel, "picks the implementation", choices)


def checked_states(layer, sequences, initial_state):
    """Where each direction starts: `initial_state` in the layer's precision."""
    count = 4 if layer.bidirectional else 2
    received = initial_state
    if isinstance(initial_state, (list, tuple)):
        states = [ops.cast(state, layer.compute_dtype) for state in initial_state]
        received = [tuple(state.shape) for state in states]
        wanted = (sequences.shape[0], layer.units)
        if len(states) == count and all(_fits(shape, wanted) for shape in received):
            return states
    raise ValueError(
        f"`initial_state` of {layer.name} is where each direction starts and must be "
        f"a list of {count} tensors of the shape (batch, {layer.units}). "
        f"Received: initial_state={received}."
    )


def _fits(shape, wanted):
    """`(batch, units)`, where None is any number of rows."""
    if len(shape) != 2 or shape[1] != wanted[1]:
        return False
    return shape[0] == wanted[0] or None in (shape[0], wanted[0])
