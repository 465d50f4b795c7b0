"""The trials of a search as a table."""

from keras_trainkit.tuners._slots import REASON, RESULT
from keras_trainkit.tuners._views import trial_name


def trials_frame(slots):
    """A pandas DataFrame with a row per place; see `RandomSearch.trials_frame`."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "`trials_frame` returns a pandas DataFrame: "
            "pip install keras-trainkit[examples]."
        ) from error
    rows = [_row(slot) for slot in slots]
    return pd.DataFrame(rows).set_index("trial") if rows else pd.DataFrame()


def _row(slot):
    result = slot.trial.user_attrs.get(RESULT, {})
    return {
        "trial": trial_name(slot.place),
        "state": slot.trial.state.name,
        "score": slot.trial.value if result.get("scores") else None,
        "spread": result.get("spread"),
        "best_epoch": result.get("best_step"),
        "epochs": result.get("epochs"),
        "seconds": result.get("seconds"),
        "attempts": len(slot.attempts),
        "reason": slot.trial.user_attrs.get(REASON),
        **{f"hp:{name}": value for name, value in result.get("values", {}).items()},
    }
