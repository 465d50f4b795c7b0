"""Codes of findings, the gravest first: name, severity, rule, and what to do.

A code never changes its meaning, and the number of one that goes is not given again.
Losses are compared with the baseline where it is known, else with the first epoch.
"""

import dataclasses

from keras_trainkit.analysis.diagnosis import Finding

# Thresholds of the rules; shares of the baseline where nothing else is said.
BURST = 4.0  # end of the training loss over its first value
ABOVE = 1.1  # training loss of a run that is stuck above the baseline
ROUGH = 0.05  # noise of the training loss, as a share of its level
UNDONE = 0.5  # rises of the training loss as a share of its falls
FEW_ROWS = 50
NOISY = 0.1  # noise of the validation loss, as a share of its level
NO_BETTER = 0.97
HIGHER = 0.2  # end of the training loss over its start, as a share of its lowest
RISE = 0.1  # of the validation loss from its lowest level, as a share of that level
LEAST_RISE = 0.02  # likewise, as a share of the baseline
GAP = 0.25
SLOW = 0.3  # fall of the training loss over the whole run, as a share of its first
STRAIGHT = 0.5  # fall of the last third over the fall of the first
HIGH = 0.6  # training loss of a model that is too small
GAIN = 0.12  # fall over the last fifth of the epochs, as a share of the level
SMALL_UPDATE, LARGE_UPDATE = 1e-5, 0.1  # update over weight
DEAD = 0.5
SATURATED = 0.5
EASY = 0.8  # validation loss over training loss
POOR_START = 3.0  # first training loss


@dataclasses.dataclass(frozen=True)
class Code:
    """A kind of finding.

    Args:
        name: String, what the verdict says or begins with.
        severity: String: `error`, `warning`, `note` or `good`.
        rule: String, when it is found.
        action: String, what to do first.
    """

    name: str
    severity: str
    rule: str
    action: str


CODES = {
    "KTK001": Code(
        "diverged",
        "error",
        "a loss is NaN or infinite, or the training loss ends above "
        f"{BURST:g} times its first value and the baseline",
        "Divide the learning rate by 10 and clip gradients (`global_clipnorm=1.0`); if "
        "the first epoch is NaN already, look for NaN in the data.",
    ),
    "KTK002": Code(
        "gradients explode",
        "error",
        "`monitor` found a layer with exploding or NaN gradients",
        "Clip gradients (`global_clipnorm=1.0`) and lower the learning rate.",
    ),
    "KTK003": Code(
        "gradients vanish",
        "error",
        "`monitor` found a layer with vanishing gradients",
        "Pair initializer and activation (`initializers.for_activation`), and add "
        "normalization or residual connections after the named layer.",
    ),
    "KTK004": Code(
        "learning rate too high",
        "error",
        f"the rises of the training loss undo more than {UNDONE:.0%} of its falls, and "
        f"its noise is above {ROUGH:.0%} of its level or its level above {ABOVE:g} "
        f"times the baseline; or it ends above its start by {HIGHER:.0%} of its lowest",
        "Divide the learning rate by 10, or take the suggestion of "
        "`analysis.learning_rate_range_test`.",
    ),
    "KTK005": Code(
        "validation set too small",
        "error",
        f"under {FEW_ROWS} rows, by `validation_rows` or by a validation accuracy that "
        "takes only the values of so few",
        "Give validation more rows, or judge by `analysis.cross_validate`.",
    ),
    "KTK006": Code(
        "too noisy to tell",
        "error",
        f"the noise of the validation loss is above {NOISY:.0%} of its level in the "
        "last half of the epochs, and the loss rises there twice or more",
        "Raise the batch size or lower the learning rate, and look at several seeds.",
    ),
    "KTK007": Code(
        "no better than predicting the mean",
        "error",
        "the lowest level of the validation loss or of the training loss is above "
        f"{NO_BETTER:g} times the baseline, and training does not fall steadily",
        "Check that inputs and targets belong to the same rows and that inputs are "
        "scaled; then see whether the model can learn 20 rows by heart.",
    ),
    "KTK008": Code(
        "overfitting",
        "warning",
        f"the validation loss has risen at the end by {RISE:.0%} from its lowest "
        f"level, by {LEAST_RISE:.0%} of the baseline and by twice its noise, while "
        f"training went on falling; or lies above training by {GAP:g} times the "
        "baseline and by half of itself",
        "Keep the weights of the best epoch (`callbacks.EarlyStopping`), then add "
        "dropout or weight decay, or more rows.",
    ),
    "KTK009": Code(
        "learning rate too low",
        "warning",
        f"the training loss falls by less than {SLOW:.0%} in the whole run, and in its "
        f"last third by at least {STRAIGHT:.0%} of what it did in the first",
        "Multiply the learning rate by 10, or take the suggestion of "
        "`analysis.learning_rate_range_test`.",
    ),
    "KTK010": Code(
        "underfitting",
        "warning",
        f"the training loss has levelled off above {HIGH:g} times the baseline, and "
        "validation lies near it",
        "Add units or a layer, or lower dropout and weight decay; if nothing helps, "
        "the inputs do not hold more.",
    ),
    "KTK011": Code(
        "still improving",
        "warning",
        "the validation loss (training where there is none) falls over the last fifth "
        f"of the epochs by more than {GAIN:.0%} of its level",
        "Train twice as long, with `callbacks.EarlyStopping` to end it.",
    ),
    "KTK012": Code(
        "plateau",
        "warning",
        "no `baseline` is given, and the loss has levelled off above "
        f"{HIGH:g} times its first value",
        "Pass `baseline=` to see what the level is worth; then raise the learning rate "
        "or add units.",
    ),
    "KTK013": Code(
        "dead units",
        "warning",
        f"`monitor` saw more than {DEAD:.0%} of a layer's units dead at the end",
        "Lower the learning rate, or use `leaky_relu` or `gelu`.",
    ),
    "KTK014": Code(
        "saturated units",
        "warning",
        f"`monitor` saw more than {SATURATED:.0%} of a layer's units saturated at the "
        "end",
        "Scale the inputs, lower the learning rate, or add layer normalization.",
    ),
    "KTK015": Code(
        "updates too small",
        "warning",
        "the usual update of every layer that `monitor` saw is below "
        f"{SMALL_UPDATE:g} times its weights",
        "Raise the learning rate.",
    ),
    "KTK016": Code(
        "updates too large",
        "warning",
        "the usual update of a layer that `monitor` saw is above "
        f"{LARGE_UPDATE:g} times its weights",
        "Lower the learning rate or add warm-up (`schedules.Warmup`).",
    ),
    "KTK017": Code(
        "good fit",
        "good",
        "validation has levelled off near training, and nothing graver was found",
        "Keep it; score it once on the test part.",
    ),
    "KTK018": Code(
        "poor start",
        "note",
        f"the training loss of the first epoch is above {POOR_START:g} times the "
        "baseline",
        "Scale the targets, or start the bias of the last layer at their mean.",
    ),
    "KTK019": Code(
        "validation is easier than training",
        "note",
        f"the validation loss is below {EASY:g} times the training loss at the end",
        "Nothing, if dropout or noise weakens training; else look for rows that are in "
        "both parts.",
    ),
    "KTK020": Code(
        "more parameters than rows",
        "note",
        "`model` has more trainable parameters than there are `rows`",
        "Nothing, unless it overfits; then take fewer units first.",
    ),
    "KTK021": Code(
        "no validation data",
        "note",
        "`history` has no `val_loss`",
        "Pass `validation_data=` to `fit`; training alone cannot show overfitting.",
    ),
    "KTK022": Code(
        "too few epochs to tell",
        "note",
        "fewer than 5 epochs",
        "Train for longer and ask again.",
    ),
}


def finding(
    code: str, why: str, numbers: dict[str, float], verdict: str | None = None
) -> Finding:
    """The finding of a code; `verdict` where it says more than the name."""
    kind = CODES[code]
    return Finding(
        code,
        verdict or kind.name,
        kind.severity,
        why,
        kind.rule,
        {name: round_off(value) for name, value in numbers.items()},
        kind.action,
    )


def round_off(value: float) -> float:
    """Six significant digits; whole numbers stay."""
    return value if isinstance(value, int) else float(f"{value:.6g}")
