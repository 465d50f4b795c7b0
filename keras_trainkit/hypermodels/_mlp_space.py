"""Hyperparameters of `models.mlp`."""

from keras_trainkit.hypermodels._kinds import Flag, Name, Number
from keras_trainkit.hypermodels._prepared import part_kinds
from keras_trainkit.models._heads import is_activation

_PENALTIES = ("none", "l1", "l2", "elastic_net")
_NORMALIZATIONS = ("none", "batch", "layer")


def mlp_kinds(space, named_parts):
    """Kinds by name; of the parts by name those that `space` mentions."""
    return {
        "layers": Number(
            "is the number of hidden layers",
            (1, 4),
            3,
            whole=True,
            bounds={"at_least": 0},
        ),
        "units": Number(
            "is the width of a hidden layer",
            (32, 512, 2),
            256,
            whole=True,
            log=True,
            bounds={"at_least": 1},
        ),
        "activation": Name(
            "bends the signal in each block",
            ["relu", "gelu", "silu", "mish", "tanh"],
            is_allowed=is_activation,
            described="the name of a Keras activation",
        ),
        "normalization": Name(
            "steadies the inputs of activations",
            list(_NORMALIZATIONS),
            allowed=_NORMALIZATIONS,
        ),
        "residual": Flag("adds each block's input to its output", [False, True]),
        "dropout": Number(
            "is the share of units set to 0 while training",
            (0.2, 0.5),
            0.2,
            bounds={"at_least": 0, "below": 1},
        ),
        "penalty": Name(
            "chooses between l1 and l2 penalties", "none", allowed=_PENALTIES
        ),
        "l1": _penalty("absolute", "l1"),
        "l2": _penalty("squared", "l2"),
        "members": Number(
            "is the number of members of the ensemble",
            1,
            whole=True,
            bounds={"at_least": 1},
        ),
        **part_kinds(space, named_parts),
    }


def _penalty(kind, name):
    return Number(
        f"weighs the sum of {kind} kernel values",
        (1e-5, 1e-2),
        1e-4,
        when=("penalty", (name, "elastic_net")),
        log=True,
        bounds={"at_least": 0},
    )
