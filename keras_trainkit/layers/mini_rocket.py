import itertools
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._arrays import as_numpy
from keras_trainkit._checks import check_count, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import over_features, valid_steps
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._adapted import add_adapted_weight, check_adapted
from keras_trainkit.layers._lost_mask import warn_of_lost_mask

TAPS = 9  # steps that a kernel reads
HIGH = 3  # of them with the weight 2; the others have -1
# The taps of weight 2 of each kernel: all 84 ways to choose them.
CHOICES = np.array(list(itertools.combinations(range(TAPS), HIGH)))
KERNELS = len(CHOICES)
MOST_CHANNELS = 9  # that one kernel reads
LARGEST = 1e36  # value, of which a kernel adds up a hundred
ROUNDING = 2e-6  # of the terms that a kernel adds up: as good as 0, and above it
GOLDEN_RATIO = (5**0.5 + 1) / 2


@serializable
class MiniRocket(keras.layers.Layer):
    """Shares of the steps at which fixed convolutions exceed fixed thresholds.

    Each of 84 kernels reads 9 steps, 3 of them with the weight 2 and 6 with -1, side by
    side or a number of steps apart (the dilation). A feature is the share of the valid
    steps at which the response of one of them is above a threshold: how much of a shape
    there is, at one scale. Nothing is trained. `adapt` takes the thresholds from the
    responses to the data, and, of several channels, draws those that a kernel adds up.

    A linear model of some thousand such features tells classes of series as well as
    deep networks do, also from twenty rows, in seconds: `models.mini_rocket`.

    | steps that are counted | kernels                                               |
    | ---------------------- | ----------------------------------------------------- |
    | all valid ones         | every second; what lies outside counts as 0           |
    | those around which all | the others; all valid steps where there is none       |
    | 9 taps are valid       |                                                       |

    Inputs should be of unit size and must not be NaN. Masked steps count as 0, whatever
    they hold, and a sequence without a valid step gives zeros. The mask ends here.
    Arithmetic is float32 under every dtype policy.

    Args:
        features_per_kernel: Int >= 1. Thresholds of each kernel, over all dilations.
        num_steps: Int >= 1. Steps of the longest sequence, which the widest kernels
            span. None: those of the input, which must then be known.
        max_dilations: Int >= 1, at most so many.
        seed: Int >= 0. Draws channels, and the rows that thresholds are taken from.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: The sequence; integers and bools count as floats.
        mask: Bools, `(batch, time)`, True where a step is valid. None: the mask of
            Keras' masking layers, where there is one; in a functional model a
            UserWarning where a layer in between lost it.

    Input shape: `(batch, time, channels)`; `channels` must be known.
    Output shape: `(batch, 84 * features_per_kernel)`, of values in [0, 1].

    Example:

    ```python
    rocket = keras_trainkit.layers.MiniRocket(num_steps=150)
    rocket.adapt(x_train)  # (rows, 150, channels)
    rocket(x_test)  # (rows, 9996)
    ```

    Source: Dempster, Schmidt and Webb, 2021, MiniRocket, arXiv:2012.08791; several
    channels as in the authors' code. There sequences have no masks: a row that is too
    short for a kernel counts all its steps here.
    """

    def __init__(
        self,
        features_per_kernel: int = 119,
        num_steps: int | None = None,
        max_dilations: int = 32,
        seed: int = 0,
        **kwargs: Any,
    ):
        purpose = "is the number of thresholds of each kernel"
        check_count("features_per_kernel", features_per_kernel, purpose)
        if num_steps is not None:
            check_count("num_steps", num_steps, "is the length of the widest kernels")
        check_count("max_dilations", max_dilations, "is the most dilations")
        check_count("seed", seed, "draws channels and rows", at_least=0)
        super().__init__(autocast=False, **kwargs)  # computes in float32
        self.features_per_kernel = int(features_per_kernel)
        self.num_steps = None if num_steps is None else int(num_steps)
        self.max_dilations = int(max_dilations)
        self.seed = int(seed)
        self.supports_masking = True
        self._is_adapted = False

    def build(self, input_shape: Shape) -> None:
        steps, channels = self.num_steps or input_shape[1], input_shape[2]
        if steps is None or channels is None:
            raise ValueError(
                f"{self.name} has kernels as wide as the longest sequence, for each "
                "channel, so both must be known: give `num_steps` where the time axis "
                f"has any length. Received: input_shape={tuple(input_shape)}, "
                f"num_steps={self.num_steps}."
            )
        self._dilations = _dilations(
            steps, self.features_per_kernel, self.max_dilations
        )
        scales = len(self._dilations)
        self.channels = add_adapted_weight(
            self, "channels", (scales, channels, KERNELS)
        )
        self.thresholds = add_adapted_weight(
            self, "thresholds", (self.features_per_kernel, KERNELS)
        )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: channels})

    def adapt(
        self, data: Any, mask: Any = None, mask_value: float | None = None
    ) -> None:
        """Takes the thresholds from `data`, afresh at every call.

        A threshold is a quantile of the responses of its kernel to one row, drawn for
        the kernel and the dilation; and a little above it, so that responses which
        equal it but for rounding are not above, whatever computes them. Those to steps
        that are all alike are such, and those to a row of few steps.

        Args:
            data: One array `(rows, time, channels)` of numbers, of any length.
            mask: Bools `(rows, time)`, False where a step is padding. None: all count.
            mask_value: Float. Steps whose channels all equal it do not count.

        Raises:
            ValueError: No row, or one without a valid step; NaN, or values beyond
                1e36, at a valid one; another number of channels than the layer has.
        """
        if mask_value is not None:
            check_number("mask_value", mask_value, "marks the steps that do not count")
        x, valid = _checked_steps(data, mask, mask_value)
        if not self.built:
            self.build(x.shape)
        if x.shape[2] != self.channels.shape[1]:
            raise ValueError(
                f"{self.name} has kernels for each channel and was built for "
                f"{self.channels.shape[1]} of them. Received: {x.shape[2]} channels."
            )
        random = np.random.default_rng(self.seed)
        channels = [_drawn_channels(x.shape[2], random) for _ in self._dilations]
        self.channels.assign(np.stack(channels))
        shares = np.arange(1, self.features_per_kernel * KERNELS + 1) * GOLDEN_RATIO
        left, thresholds = iter(shares % 1), []
        for number, (_, count) in enumerate(self._dilations):
            drawn = random.integers(len(x), size=KERNELS)
            rows, places = np.unique(drawn, return_inverse=True)
            responses = self._responses(x[rows], valid[rows], number)
            responses = as_numpy(responses)[places, :, np.arange(KERNELS)]
            quantiles = [
                np.quantile(one[np.isfinite(one)], [next(left) for _ in range(count)])
                for one in responses
            ]
            found = np.stack(quantiles, axis=1)
            sizes = _sizes(x[rows], valid[rows], channels[number])
            sizes = sizes[places, np.arange(KERNELS)]
            thresholds.append(found + ROUNDING * (sizes + np.abs(found)))
        self.thresholds.assign(np.concatenate(thresholds))
        self._is_adapted = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if not self._is_adapted:
            purpose = "has thresholds that it takes from data"
            self._is_adapted = check_adapted(self, self.thresholds, purpose)
        valid = valid_steps(inputs, mask)
        shares, first = [], 0
        for number, (_, count) in enumerate(self._dilations):
            responses = self._responses(inputs, valid, number)
            steps = ops.sum(ops.cast(ops.isfinite(responses), "float32"), axis=1)
            steps = ops.maximum(steps, 1)
            for threshold in range(first, first + count):
                above = responses > self.thresholds[threshold]
                shares.append(ops.sum(ops.cast(above, "float32"), axis=1) / steps)
            first += count
        return ops.cast(ops.concatenate(shares, axis=1), self.compute_dtype)

    def compute_mask(self, inputs: Tensor, previous_mask: Any) -> None:
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], KERNELS * self.features_per_kernel)

    def compute_output_spec(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        warn_of_lost_mask(self, inputs, mask)
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "features_per_kernel": self.features_per_kernel,
            "num_steps": self.num_steps,
            "max_dilations": self.max_dilations,
            "seed": self.seed,
        }

    def _responses(self, inputs: Tensor, valid: Tensor, number: int) -> Tensor:
        """Responses `(batch, time, 84)`, minus infinity at steps that do not count.

        Args:
            number: Int. Number of the dilation.
        """
        dilation, _ = self._dilations[number]
        valid = ops.cast(valid, "bool")
        steps = ops.cast(over_features(valid, inputs), "float32")
        x = ops.where(steps > 0, ops.cast(inputs, "float32"), 0)
        kernels = ops.convert_to_tensor(_weights()[:, None, :]) * self.channels[number]
        kernels = ops.reshape(kernels, (-1, KERNELS))
        responses = ops.matmul(_taps(x, dilation), kernels)
        inner = ops.equal(ops.sum(_taps(steps, dilation), axis=2), TAPS)
        inner = ops.where(ops.any(inner, axis=1, keepdims=True), inner, valid)
        is_inner = (number + np.arange(KERNELS)) % 2 == 1
        counts = ops.where(is_inner, inner[:, :, None], valid[:, :, None])
        return ops.where(counts, responses, -np.inf)


def _checked_steps(
    data: Any, mask: Any, mask_value: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of one length as float32, and True where a step is valid."""
    wanted = (
        "`data` is what the thresholds are taken from and must be one array of numbers "
        "(rows, time, channels), with a row and a channel."
    )
    x = as_numpy(data)
    if x.dtype.kind not in "biuf" or x.ndim != 3 or not x.shape[0] * x.shape[2]:
        raise ValueError(f"{wanted} Received: {x.dtype} of the shape {x.shape}.")
    valid = np.ones(x.shape[:2], bool) if mask is None else as_numpy(mask)
    if valid.dtype != bool or valid.shape != x.shape[:2]:
        raise ValueError(
            "`mask` says which steps count and must hold booleans in the shape of "
            f"`data` without its last axis, {x.shape[:2]}. "
            f"Received: {valid.dtype} of the shape {valid.shape}."
        )
    if mask_value is not None:
        valid = valid & (x != x.dtype.type(mask_value)).any(axis=2)
    if not valid.any(axis=1).all():
        row = np.flatnonzero(~valid.any(axis=1))[0]
        raise ValueError(
            "`data` is what the thresholds are taken from and must have a valid step "
            f"in each row. Received: none in row {row}."
        )
    with np.errstate(over="ignore"):
        x = x.astype("float32")
    if not (np.abs(x[valid]) < LARGEST).all():
        raise ValueError(
            "`data` is what the thresholds are taken from and must be finite at every "
            f"valid step, within {LARGEST:.0e}. "
            "Received: NaN, infinite or larger values."
        )
    return x, valid


def _dilations(steps: int, features: int, max_dilations: int) -> list[tuple[int, int]]:
    """Dilations up to the length, and the features of a kernel at each."""
    widest = np.log2(max(1, (steps - 1) / (TAPS - 1)))
    places = min(features, max_dilations)
    spaced = 2 ** np.linspace(0, widest, places)
    dilations, shares = np.unique(spaced.astype(int), return_counts=True)
    counts = shares * features // places
    counts[: features - counts.sum()] += 1  # what the rounding left
    return list(zip(dilations.tolist(), counts.tolist(), strict=True))


def _weights() -> np.ndarray:
    """The kernels, `(9, 84)`."""
    weights = np.full((KERNELS, TAPS), -1, "float32")
    np.put_along_axis(weights, CHOICES, 2, axis=1)
    return weights.T


def _drawn_channels(channels: int, random: np.random.Generator) -> np.ndarray:
    """1 for the channels that a kernel adds up, `(channels, 84)`; few more often."""
    most = np.log2(min(channels, MOST_CHANNELS) + 1)
    chosen = np.zeros((channels, KERNELS), "float32")
    for kernel in range(KERNELS):
        count = int(2 ** random.uniform(0, most))
        chosen[random.choice(channels, count, replace=False), kernel] = 1
    return chosen


def _sizes(x: np.ndarray, valid: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """Size of the terms that each kernel adds up in each row, `(rows, 84)`."""
    squares = np.where(valid[:, :, None], x, 0).astype("float64") ** 2
    means = squares.sum(axis=1) / valid.sum(axis=1, keepdims=True)
    return np.sqrt(means) @ channels * np.abs(_weights()[:, 0]).sum()


def _taps(x: Tensor, dilation: int) -> Tensor:
    """Steps that each kernel reads around each step, `(batch, time, 9 * channels)`."""
    reach = TAPS // 2 * dilation
    padded = ops.pad(x, [[0, 0], [reach, reach], [0, 0]])
    ends = [tap * dilation for tap in range(TAPS)]
    views = [padded[:, end : end - 2 * reach or None] for end in ends]
    return ops.concatenate(views, axis=2)
