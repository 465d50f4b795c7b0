"""Hyperparameters of `models.bilstm_attention`."""

from keras_trainkit.hypermodels._kinds import Name, Number
from keras_trainkit.hypermodels._prepared import part_kinds

_SCORES = ("additive", "multiplicative", "dot", "scaled_dot")
_QUERIES = ("final_state", "learned")
_SHARE = {"at_least": 0, "below": 1}


def bilstm_attention_kinds(space, named_parts, is_tokens):
    """Kinds by name; of the parts by name those that `space` mentions."""
    embedding = Number(
        "is the numbers per token",
        (64, 256, 2),
        128,
        whole=True,
        log=True,
        bounds={"at_least": 1},
    )
    return {
        **({"embedding_units": embedding} if is_tokens else {}),
        "layers": Number(
            "is the number of recurrent layers",
            (1, 3),
            2,
            whole=True,
            bounds={"at_least": 1},
        ),
        "units": Number(
            "is the width of a recurrent layer per direction",
            (32, 128, 2),
            64,
            whole=True,
            log=True,
            bounds={"at_least": 1},
        ),
        "dropout": Number(
            "is the share of a layer's inputs dropped", (0.2, 0.5), 0.2, bounds=_SHARE
        ),
        "recurrent_dropout": Number(
            "is the share of the states dropped", (0.0, 0.5), 0.2, bounds=_SHARE
        ),
        "recurrent_weight_dropout": Number(
            "is the share of the recurrent weights dropped", 0.0, 0.0, bounds=_SHARE
        ),
        "attention": Name(
            "compares the query with a step",
            ["additive", "multiplicative"],
            allowed=(*_SCORES, "none"),
        ),
        "query": Name(
            "is what the steps are compared with",
            list(_QUERIES),
            when=("attention", _SCORES),
            allowed=_QUERIES,
        ),
        "scales": Name(
            "gives the widths of the windows whose means stand beside each step",
            "1",
            is_allowed=_is_widths,
            described="whole numbers from 1, each once, with commas, such as '1,4,16'",
        ),
        **part_kinds(space, named_parts),
    }


def widths_of(scales):
    """ "1,4,16" as (1, 4, 16)."""
    return tuple(int(width) for width in scales.split(","))


def _is_widths(scales):
    widths = scales.split(",")
    whole = all(width.isdecimal() and int(width) >= 1 for width in widths)
    return whole and len(set(widths_of(scales))) == len(widths)
