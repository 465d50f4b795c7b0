import numpy as np

from keras_trainkit._tables.numbers import number_array

NEIGHBOURS = 3
FEWEST = 10  # rows for an estimate


def mutual_information(x, y, is_regression, discrete, seed):
    """Score of each feature in nats; NaN in `x` counts as a value of its own.

    With m for "x is missing": I(x; y) = I(m; y) + P(not m) I(x; y | not m).
    """
    y = _checked_target(y, is_regression)
    estimate = _estimator(is_regression, seed)
    absent = np.isnan(x)
    whole = np.flatnonzero(~absent.any(axis=0) & (x.min(axis=0) < x.max(axis=0)))
    scores = np.zeros(x.shape[1])
    if len(whole):
        scores[whole] = estimate(x[:, whole], y, discrete[whole])
    for feature in np.flatnonzero(absent.any(axis=0) & ~absent.all(axis=0)):
        missing = absent[:, feature]
        flag = missing[:, None].astype("float64")
        scores[feature] = estimate(flag, y, np.array([True]))[0]
        there, target = x[~missing, feature], y[~missing]
        if len(there) >= FEWEST and _tells(there) and _tells(target):
            (score,) = estimate(there[:, None], target, discrete[[feature]])
            scores[feature] += (~missing).mean() * score
    return scores


def _checked_target(y, is_regression):
    wanted = "`targets` of a regression are what features tell about and must be real"
    if is_regression:
        y = number_array(y, f"{wanted} numbers.")
    if is_regression and y.dtype.kind not in "biuf":
        raise ValueError(f"{wanted} numbers. Received: dtype={y.dtype}.")
    if is_regression and not np.isfinite(y).all():
        raise ValueError(f"{wanted} numbers below 1.8e308. Received: larger ones.")
    values, codes = _different(y)
    if len(values) < 2:
        raise ValueError(
            "`targets` are what features tell about and must not all be the same. "
            f"Received: {values[0]!r} in every row."
        )
    if is_regression:
        return y.astype("float64")
    if 2 * len(values) > len(y):
        raise ValueError(
            "`targets` of a classification are labels, of which most must come twice "
            f"(task='regression' takes numbers). Received: {len(values)} different "
            f"labels in {len(y)} rows."
        )
    return codes


def _different(y):
    try:
        return np.unique(y, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            "`targets` of a classification are labels and must be of one type, texts "
            f"or numbers. Received: {error}."
        ) from error


def _estimator(is_regression, seed):
    # Imported here, so that `import keras_trainkit` brings in no more than Keras.
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    estimate = mutual_info_regression if is_regression else mutual_info_classif

    def scores(x, y, discrete):
        # scikit-learn 1.9 adds noise in proportion to the values, not to their spread,
        # and warns about codes that are no whole numbers.
        x = x - x.mean(axis=0)
        for feature in np.flatnonzero(discrete):
            x[:, feature] = np.unique(x[:, feature], return_inverse=True)[1]
        return estimate(
            x,
            y,
            discrete_features=discrete,
            n_neighbors=NEIGHBOURS,
            random_state=seed,
        )

    return scores


def _tells(values):
    return values.min() < values.max()
