"""Distance to what normal looks like: models that are fitted to recordings without labels.

Both bring features to mean 0 and deviation 1 first. `fit_mahalanobis` takes out how they go
together, and gives the distance to their mean in deviations; `fit_centres` gives the distance to
the nearest of k centres of the data. A distance above a threshold is an anomaly:
`wingbeat.after.with_detector` behind such a program says so, with smoothing and a hold-off.

References
----------
.. [1] P. C. Mahalanobis, "On the Generalised Distance in Statistics", Proceedings of the National
   Institute of Sciences of India 2, 1936.
.. [2] S. P. Lloyd, "Least Squares Quantization in PCM", IEEE Transactions on Information Theory 28
   (2), 1982: k-means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError
from .program import Decision, Descriptor, Program, ProgramBuilder
from .recordings import optional_module
from .reference import Operator
from .reference.affine import Affine, affine, standardize
from .reference.matrix import matrix
from .reference.nearest import nearest

#: Steps of one deviation: in standardized features, and in distances.
ONE = 512
ONE_OF_DISTANCE = 256

#: Classes of `with_threshold`.
LABELS = ("normal", "anomaly")

_FOLDS = 5
_LARGEST_THRESHOLD = 127 * ONE_OF_DISTANCE
_QUANTILES = (0.5, 0.9, 0.99, 1.0)


def fit_mahalanobis(x: NDArray[np.int16], *, ridge: float = 1e-3, name: str = "anomaly") -> Program:
    """A program that gives the Mahalanobis distance of features to those of normal data.

    It is ``sqrt((x - m)' C^-1 (x - m))`` with the mean m and C the covariance of `x`, to whose
    diagonal `ridge` times itself is added.

    Parameters
    ----------
    x : NDArray[int16] [rows, n_features]
        Features of normal data, as the board computes them; more rows than features.
    ridge : float
        Above 0. Without it, features that are sums of others would make the distance infinite.
    name : str

    Returns
    -------
    Program
        Takes int16 [n_features], gives int16 [1] in steps of 1/256, at most 127.99. Features are
        limited to 64 deviations. Against float64 it is off by less than 1 %, or 0.02 if that is
        more, on features of accelerometers (tested). ``meta["anomaly"]`` has quantiles of the
        distances of `x`.

    Raises
    ------
    UsageError
        The features are not int16, or there are too few rows.
    """
    scaling = _scaling(x)
    z = _values(scaling, x) / ONE
    if not ridge > 0:
        raise UsageError(f"ridge = {ridge}: expected a number above 0, such as 0.001")
    if len(x) <= x.shape[1]:
        raise UsageError(
            f"{len(x)} rows of {x.shape[1]} features: expected more rows than features;"
            " take more data or fewer features, or fit centres"
        )
    # Fitted to what the board has by then, so what rounding does to factors is taken out again.
    covariance = np.cov(z, rowvar=False, bias=True).reshape(x.shape[1], x.shape[1])
    covariance[np.diag_indices(len(covariance))] += ridge
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    weights = whitening * (ONE_OF_DISTANCE / ONE)
    whitener = matrix(weights, -weights @ (ONE * z.mean(axis=0)))
    distance = nearest(np.zeros((1, x.shape[1])))
    return _program((scaling, whitener, distance), x, "mahalanobis", name)


def fit_centres(
    x: NDArray[np.int16], n_centres: int, *, seed: int = 0, name: str = "anomaly"
) -> Program:
    """A program that gives the distance of features to the nearest centre of normal data.

    Parameters
    ----------
    x : NDArray[int16] [rows, n_features]
        Features of normal data, as the board computes them.
    n_centres : int
        Of k-means: 1 to 255, at most the number of rows.
    seed : int
    name : str

    Returns
    -------
    Program
        Takes int16 [n_features], gives int16 [1]: the distance in deviations of the features, in
        steps of 1/256, at most 127.99. Against float64 it is off by less than 1 %, or 0.02 if that
        is more, on features of accelerometers (tested). ``meta["anomaly"]`` has quantiles of the
        distances of `x`.

    Raises
    ------
    UsageError
        The features are not int16, or there are fewer rows than centres.
    DataError
        scikit-learn is not installed.
    """
    cluster = optional_module("sklearn.cluster", "fitting centres", "scikit-learn")
    if not 1 <= n_centres <= len(x):
        raise UsageError(f"{n_centres} centres: expected 1 to {len(x)}, the number of rows")
    scaling = _scaling(x, ONE_OF_DISTANCE)
    z = _values(scaling, x)
    found = cluster.KMeans(n_centres, n_init=4, random_state=seed).fit(z.astype(np.float64))
    return _program((scaling, nearest(found.cluster_centers_)), x, "centres", name)


def _scaling(x: NDArray[np.int16], one: int = ONE) -> Affine:
    """To mean 0 and deviation 1. One that never changed counts from one step on."""
    if x.dtype != np.int16 or x.ndim != 2 or not x.size:
        raise UsageError(
            f"features of {x.dtype} {list(x.shape)}: expected int16 [rows, n_features]"
        )
    return standardize(x.mean(axis=0), np.maximum(x.std(axis=0), 1.0), one=one)


def _values(operator: Operator, x: NDArray[np.int16]) -> NDArray[Any]:
    (values,) = operator.apply(x)
    return values


def _program(
    operators: tuple[Operator, ...], x: NDArray[np.int16], kind: str, name: str
) -> Program:
    builder = ProgramBuilder(Descriptor("h", (x.shape[1],)))
    tensor = 0
    for operator in operators:
        tensor = builder.add(operator, tensor)
    scale = 1 / ONE_OF_DISTANCE
    made = builder.finish(name, tensor, Decision.VALUE, scale=scale)
    distances = np.quantile(made.run(x) * scale, _QUANTILES)
    quantiles = {
        str(share): round(float(each), 3) for share, each in zip(_QUANTILES, distances, strict=True)
    }
    facts = {"kind": kind, "rows": len(x), "distances": quantiles}
    return builder.finish(name, tensor, Decision.VALUE, scale=scale, meta={"anomaly": facts})


def with_threshold(program: Program, threshold: float) -> Program:
    """A program that gives a distance, as one that tells normal from anomaly.

    Parameters
    ----------
    program : Program
        Gives int16 [1], a distance.
    threshold : float
        An anomaly is further away, in the distance's unit; at most 127.

    Returns
    -------
    Program
        Decides for class 1, ``anomaly``, above the threshold, else for class 0, ``normal``. Its
        output is the distance as before, but stored with the threshold as 0.

    Raises
    ------
    UsageError
        The threshold is out of range.
    """
    steps = round(threshold / program.output.scale)
    if not 0 < steps <= _LARGEST_THRESHOLD:
        raise UsageError(
            f"threshold {threshold:.4g}: expected more than 0 and at most"
            f" {_LARGEST_THRESHOLD * program.output.scale:.4g} deviations"
        )
    builder = ProgramBuilder(program.input)
    distance = builder.append(program)[program.output_tensor]
    facts = {**program.meta["anomaly"], "threshold": steps * program.output.scale}
    return builder.finish(
        program.name,
        builder.add(affine([1.0], [-float(steps)]), distance),
        Decision.POSITIVE,
        scale=program.output.scale,
        zero_point=-steps,
        labels=LABELS,
        meta={**program.meta, "anomaly": facts},
    )


def threshold_for(
    fit: Callable[[NDArray[np.int16]], Program],
    x: NDArray[np.int16],
    groups: NDArray[Any],
    share: float,
) -> float:
    """The distance below which a share of normal data of new groups lies.

    Each group, or each of five sets of groups, is looked at by a program that was fitted to the
    others, since what a program was fitted to always looks nearer than it is. With one group only,
    there is no other way.

    Parameters
    ----------
    fit : callable
        Gives a program that gives a distance.
    x : NDArray[int16] [rows, n_features]
        Of normal data.
    groups : array [rows]
    share : float
        0 to 1.
    """
    _, owner = np.unique(groups, return_inverse=True)
    fold = owner % _FOLDS
    held_out = [fold == number for number in np.unique(fold)]
    if len(held_out) == 1:
        distances = [_distances(fit(x), x)]
    else:
        distances = [_distances(fit(x[~rows]), x[rows]) for rows in held_out]
    return float(np.quantile(np.concatenate(distances), share))


def _distances(program: Program, x: NDArray[np.int16]) -> NDArray[np.float64]:
    return np.asarray(program.run(x) * program.output.scale, np.float64).reshape(len(x))
