"""Which variables weight decay leaves alone."""

import re

BIAS_OR_SCALE = re.compile(r"(^|_)(alpha|beta|bias|gamma|offset|scale|shift)(_?\d+)?$")


def is_bias_or_scale(variable) -> bool:
    """True for what shifts or scales units instead of connecting them.

    That is a variable of rank 0 or 1, or one whose own name (the last part of its
    path) ends in one of the words above: `bias`, `attention_bias`, `scale_1`. The
    name decides for what has a rank of 2 or more, such as one bias per feature and
    unit or per gate. Kernels and embedding tables are neither.
    """
    name = variable.name.split("/")[-1].split(":")[0]
    return len(variable.shape) <= 1 or bool(BIAS_OR_SCALE.search(name))
