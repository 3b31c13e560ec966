"""Distances to normal data, against float64, on real recordings and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from motion import motion
from wingbeat.after import with_detector
from wingbeat.anomaly import fit_centres, fit_mahalanobis
from wingbeat.errors import FormatError, UsageError
from wingbeat.program import Program
from wingbeat.reference.nearest import Nearest, nearest
from wingbeat.reference.window_stats import STATISTICS, WindowStats
from wingbeat.stream import Stream


def features() -> tuple[NDArray[np.int16], NDArray[np.str_]]:
    """Statistics of windows [rows, 21], many of which are nearly sums of others."""
    windows, names = motion(128, 32)
    (found,) = WindowStats(128, 3, STATISTICS).apply(windows.reshape(len(windows), -1))
    return found, names


def distances(program: Program, x: NDArray[np.int16]) -> NDArray[np.float64]:
    return program.output.dequantize(program.run(x))[:, 0]


def assert_near(found: NDArray[np.float64], exact: NDArray[np.float64]) -> None:
    """Within 1 % or 0.02; beyond 127.99 all are the same."""
    assert (np.abs(found - exact)[exact < 127] <= np.maximum(0.01 * exact, 0.02)[exact < 127]).all()
    assert (found[exact > 128] > 125).all()


@pytest.mark.parametrize("normal", ["lunge", "squat", "jumpingjack", "other"])
def test_mahalanobis_on_real_features(normal: str) -> None:
    x, names = features()
    normal_rows = x[names == normal][::2]
    program = fit_mahalanobis(normal_rows, ridge=0.01)
    deviation = normal_rows.std(axis=0)
    covariance = np.cov(normal_rows, rowvar=False, bias=True) + np.diag(0.01 * deviation**2)
    away = x - normal_rows.mean(axis=0)
    exact = np.sqrt(np.einsum("ij,ij->i", away @ np.linalg.inv(covariance), away))
    inside = (np.abs(away) < 63 * deviation).all(axis=1)
    assert inside.mean() > 0.5
    assert_near(distances(program, x)[inside], exact[inside])
    assert np.median(distances(program, x)[names != normal]) > 2 * np.median(exact[names == normal])
    assert program.meta["anomaly"]["distances"]["1.0"] == pytest.approx(
        distances(program, normal_rows).max(), abs=1e-3
    )


def test_centres_on_real_features() -> None:
    x, names = features()
    normal_rows = x[names == "squat"][::2]
    program = fit_centres(normal_rows, 6)
    mean, deviation = normal_rows.mean(axis=0), normal_rows.std(axis=0)
    z = (x - mean) / deviation
    centres = KMeans(6, n_init=4, random_state=0).fit(z[names == "squat"][::2]).cluster_centers_
    exact = np.sqrt(((z[:, np.newaxis] - centres) ** 2).sum(axis=2)).min(axis=1)
    assert_near(distances(program, x), exact)


def test_an_anomaly_is_detected() -> None:
    rng = np.random.default_rng(1)
    normal = rng.normal((500, -200), (20, 5), (400, 2))
    # Each of the two is usual, but not together.
    normal[:, 1] = -200 + (normal[:, 0] - 500) / 4 + rng.normal(0, 0.5, 400)
    program = fit_mahalanobis(np.rint(normal).astype(np.int16))
    rows = np.array([[500, -200], [520, -195], [520, -205], [500, -200]], np.int16)
    found = distances(program, rows)
    assert found[2] > 10
    assert max(found[0], found[1], found[3]) < 2
    alarm = with_detector(program, threshold=5.0)
    assert alarm.labels == ("detected", "reject")
    np.testing.assert_array_equal(Stream(alarm).run(rows).decisions, [1, 1, 0, 1])


def test_what_never_changed_counts_in_steps() -> None:
    x = np.zeros((50, 2), np.int16)
    x[:, 0] = np.arange(50)
    program = fit_mahalanobis(x, ridge=1.0)
    assert distances(program, np.array([[24, 3]], np.int16))[0] == pytest.approx(3, abs=0.1)


def test_distance_is_exact_but_for_its_root() -> None:
    rng = np.random.default_rng(2)
    centres = rng.integers(-32768, 32768, (7, 30))
    x = rng.integers(-32768, 32768, (500, 30)).astype(np.int16)
    exact = np.sqrt(((x[:, np.newaxis] - centres.astype(float)) ** 2).sum(axis=2))
    for shift in (4, 6):
        distance, number = nearest(centres, shift=shift).apply(x)
        np.testing.assert_array_equal(number[:, 0], exact.argmin(axis=1))
        np.testing.assert_array_equal(distance[:, 0], exact.min(axis=1) // 2**shift)
    distance, _ = nearest(centres).apply(x)
    assert (distance == 32767).all()


def test_what_users_get_wrong_is_named() -> None:
    x = np.arange(60, dtype=np.int16).reshape(20, 3)
    for call, text in (
        (lambda: fit_mahalanobis(x.astype(float)), "expected int16"),
        (lambda: fit_mahalanobis(x[:3]), "3 rows of 3 features: expected more rows"),
        (lambda: fit_mahalanobis(x, ridge=0.0), "expected a number above 0"),
        (lambda: fit_centres(x, 21), "expected 1 to 20, the number of rows"),
        (lambda: nearest(np.zeros(3)), "expected int16 centres"),
        (lambda: nearest(np.zeros((256, 1))), "1 to 255 centres"),
        (lambda: nearest(np.zeros((1, 4097))), "1 to 4096 dimensions"),
        (lambda: nearest(np.zeros((1, 1)), shift=9), "a shift is 0 to 8"),
    ):
        with pytest.raises(UsageError, match=text):
            call()
    good = nearest(np.zeros((1, 2))).encode()
    for damaged in (b"", good[:-4], good + bytes(4), b"\3" + good[1:]):
        with pytest.raises(FormatError, match="nearest: bad parameters"):
            Nearest.decode(damaged)
