"""States of the random number generators that have no variable in a model."""

import random
import sys
from typing import Any

import keras
import numpy as np

_KEY_LENGTH = 624  # numbers of a Mersenne Twister
_GLOBAL = "keras"


def global_seed_generator() -> Any:
    """The generator of `keras.random` functions that are given no seed.

    Keras has no public way to it. It is the one that such a function asks, which is
    seen by asking it; nothing is drawn from the generators of Python and Keras.
    """
    asked: list[Any] = []
    seeds = keras.random.SeedGenerator
    state, following = random.getstate(), seeds.next

    def note(generator: Any, ordered: bool = True) -> Any:
        asked.append((generator, _seed_of(generator)))
        return following(generator, ordered)

    try:
        seeds.next = note
        keras.random.uniform((1,))
    finally:
        seeds.next = following
        random.setstate(state)
    for generator, seed in asked:
        generator.state.assign(seed)
    return asked[0][0] if asked else None


def take(global_seeds: Any) -> dict[str, Any]:
    """The states of Python's, NumPy's, torch's and Keras' global generators."""
    version, numbers, gauss = random.getstate()
    legacy: Any = np.random.get_state()
    name, key, position, has_gauss, cached = legacy
    state: dict[str, Any] = {
        "python": [version, np.array(numbers, "uint32"), gauss],
        "numpy": [name, key.copy(), position, has_gauss, cached],
    }
    if global_seeds is not None:
        state[_GLOBAL] = _seed_of(global_seeds)
    # Where torch is not loaded, nothing can have drawn from it.
    torch: Any = sys.modules.get("torch")
    if torch:
        state["torch"] = torch.get_rng_state().numpy()
        if torch.cuda.is_initialized():
            states = torch.cuda.get_rng_state_all()
            state["torch_cuda"] = [one.numpy() for one in states]
    return state


def put_back(state: dict[str, Any], global_seeds: Any) -> None:
    """Sets the generators as `take` has found them.

    Raises:
        ValueError: No state of such generators.
    """
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(int(n) for n in numbers), gauss))
    name, key, position, has_gauss, cached = state["numpy"]
    # NumPy 2.4 reads beyond the key where the position does.
    if np.shape(key) != (_KEY_LENGTH,) or not 0 <= position <= _KEY_LENGTH:
        raise ValueError("A Mersenne Twister has 624 numbers and a position in them.")
    np.random.set_state((name, key.copy(), position, has_gauss, cached))
    if global_seeds is not None and _GLOBAL in state:
        global_seeds.state.assign(state[_GLOBAL])
    torch: Any = sys.modules.get("torch")
    if torch and "torch" in state:
        torch.set_rng_state(torch.from_numpy(state["torch"].copy()))
    if torch and "torch_cuda" in state and torch.cuda.is_available():
        states = [torch.from_numpy(one.copy()) for one in state["torch_cuda"]]
        torch.cuda.set_rng_state_all(states)


def _seed_of(generator: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(generator.state.value))
