import dataclasses
import itertools
import math

_LASTING = 3  # measured steps in a row, before small gradients count as vanished

_REMEDIES = {
    "vanishing": "ReLU or a relative of it with He initialization in place of sigmoid "
    "and tanh, batch or layer normalization, residual connections, fewer layers; for "
    "sequences LSTM layers and shorter sequences. Where many units of the layer are "
    "dead, a lower learning rate.",
    "exploding": "a lower learning rate or a warm-up, `global_clipnorm=1` in the "
    "optimizer, inputs and targets scaled to a variance of 1, an initializer that "
    "fits the activation (`initializers.for_activation`).",
    "nan": "look for NaN and infinity in the inputs and targets, for log(0), 0/0 and "
    "sqrt(0) in own layers and losses; then a lower learning rate, `global_clipnorm`, "
    "under float16 a `keras.optimizers.LossScaleOptimizer`. `every=1` finds the step.",
}


@dataclasses.dataclass(frozen=True)
class GradientFinding:
    """The first layer whose gradients went wrong.

    Attributes:
        kind: `"vanishing"`, `"exploding"` or `"nan"` (infinity too).
        layer: String, path of the layer as in `GradientMonitor.gradient_norms`.
        step: Int, the measured step at which it was seen.
        value: Float, what was compared with the threshold: the norm beside the largest
            of the layers behind (vanishing) or beside that of the weights (exploding).
        remedy: String, what to try.
    """

    kind: str
    layer: str
    step: int
    value: float
    remedy: str

    def __str__(self) -> str:
        found = {
            "vanishing": f"vanish: {self.value:.1e} of the largest behind it",
            "exploding": f"explode: {self.value:.1e} times the norm of its weights",
            "nan": "are no finite numbers",
        }
        return (
            f"Step {self.step}, layer {self.layer}: gradients {found[self.kind]}. "
            f"Try: {self.remedy}"
        )


class FindingRules:
    """Rules that name a layer whose gradients go wrong, at one step after another.

    Args:
        vanishing_ratio: As in `GradientMonitor`.
        exploding_ratio: Likewise.
        layers: Paths of the layers with gradients, in the order of the model.

    Attributes:
        small: Dict, path of a layer to the measured steps in a row at which its
            gradient was small.
    """

    def __init__(
        self, vanishing_ratio: float, exploding_ratio: float, layers: list[str]
    ):
        self.vanishing_ratio = vanishing_ratio
        self.exploding_ratio = exploding_ratio
        self.small: dict[str, int] = dict.fromkeys(layers, 0)

    def find(
        self,
        step: int,
        gradients: dict[str, float],
        weights: dict[str, float],
        broken_outputs: list[str],
    ) -> GradientFinding | None:
        """The first finding of a step, as the backward pass goes; None if all is well.

        Args:
            step: Int.
            gradients: Dict, path of a layer to the norm of its gradient, in order.
            weights: Likewise, norms of the weights.
            broken_outputs: Paths of the layers whose outputs are no finite numbers.
        """
        broken = [p for p, value in gradients.items() if not math.isfinite(value)]
        if broken:
            layer = broken_outputs[0] if broken_outputs else broken[-1]
            return _finding("nan", layer, step, gradients.get(layer, math.nan))
        found = []
        largest = 0.0
        bypassed = _behind_the_first_gradient(gradients)
        for path in reversed(gradients):
            ratio = gradients[path] / max(weights[path], 1.0)
            if ratio > self.exploding_ratio:
                found.append(_finding("exploding", path, step, ratio))
            largest = max(largest, gradients[path])
            share = gradients[path] / largest if largest else 0.0
            is_aside = gradients[path] == 0 and path in bypassed
            is_small = share < self.vanishing_ratio and not is_aside
            self.small[path] = self.small[path] + 1 if is_small else 0
            if self.small[path] >= _LASTING:
                found.append(_finding("vanishing", path, step, share))
        return found[0] if found else None


def _finding(kind: str, layer: str, step: int, value: float) -> GradientFinding:
    return GradientFinding(kind, layer, step, value, _REMEDIES[kind])


def _behind_the_first_gradient(gradients: dict[str, float]) -> set[str]:
    """Layers behind one that gets a gradient: it has a way back around each zero."""
    return set(itertools.dropwhile(lambda path: not gradients[path], gradients))
