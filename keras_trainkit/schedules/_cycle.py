"""Arguments and turning points that the rate and the momentum of a cycle share."""

from typing import Any

from keras_trainkit._checks import check_choice, check_count, check_number
from keras_trainkit.schedules._legs import MOST_STEPS, SHAPES, check_steps


def check_cycle(
    total_steps: Any,
    warmup_fraction: Any,
    annihilation_fraction: Any,
    shape: Any,
    start_step: Any,
) -> None:
    """Refuses arguments that no cycle can have."""
    check_steps("total_steps", total_steps, "is the length of the run in batches")
    check_number(
        "warmup_fraction",
        warmup_fraction,
        "is the share of the steps spent on the way to the peak",
        above=0,
        below=1,
    )
    check_number(
        "annihilation_fraction",
        annihilation_fraction,
        "is the share of the steps after the cycle, out of those after the peak,",
        at_least=0,
        below=1 - warmup_fraction,
    )
    check_choice("shape", shape, "is the form of each leg", SHAPES)
    check_count(
        "start_step",
        start_step,
        "is the optimizer step at which the cycle begins",
        at_least=-MOST_STEPS,
        at_most=MOST_STEPS,
    )


def turning_points(schedule: Any) -> tuple[float, float, float, float]:
    """Start, peak, end of the cycle and end of the run, in optimizer steps."""
    start, steps = schedule.start_step, schedule.total_steps
    peak = start + schedule.warmup_fraction * steps
    cycle = start + (1 - schedule.annihilation_fraction) * steps
    return start, peak, cycle, start + steps
