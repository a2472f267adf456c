"""Calibration of class probabilities and of the expected IoU, with predictions of unseen images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.isotonic import IsotonicRegression

if TYPE_CHECKING:
    from ..typing import FloatArray, IntArray

__all__ = ["apply_curve", "apply_temperature", "fit_curve", "fit_temperature"]

#: Range of temperatures. At either end, all probabilities are nearly equal, or 0 and 1.
TEMPERATURES = (0.05, 20.0)

#: A probability of 0 would have an infinite loss.
LEAST_PROBABILITY = 1e-12


def fit_temperature(probabilities: FloatArray, class_indices: IntArray) -> float:
    """The temperature with the lowest mean negative log-likelihood of the true classes.

    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2. If all
    classes are right, the likelihood would be highest at a temperature of 0. So each row counts as
    wrong by 1 / (n + 2): J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999,
    section 2.2.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
    class_indices : ndarray of shape (n,)
        The column of the true class.

    Returns
    -------
    float
        Above 1 if the probabilities are overconfident.
    """
    n, n_classes = probabilities.shape
    targets = np.full((n, n_classes), 1 / ((n + 2) * (n_classes - 1)))
    targets[np.arange(n), class_indices] = 1 - 1 / (n + 2)

    def compute_loss(log_temperature: float) -> float:
        scaled = apply_temperature(probabilities, np.exp(log_temperature))
        return float(-(targets * np.log(np.maximum(scaled, LEAST_PROBABILITY))).sum())

    result = minimize_scalar(compute_loss, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(result.x))


def apply_temperature(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Divide log-probabilities by a temperature, which does not change their order.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
    temperature : float

    Returns
    -------
    ndarray of shape (n, n_classes)
        Rows sum to 1.
    """
    logits = np.log(np.maximum(probabilities, LEAST_PROBABILITY)) / temperature
    calibrated: FloatArray = softmax(logits, axis=1)
    return calibrated


def fit_curve(confidence: FloatArray, overlap: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A curve that rises from the expected to the real IoU, by centred isotonic regression.

    Isotonic regression has steps: B. Zadrozny, C. Elkan, "Transforming Classifier Scores into
    Accurate Multiclass Probability Estimates", KDD 2002. Lines between their centres keep the order
    of images within a step: A. P. Oron, N. Flournoy, "Centered Isotonic Regression", Statistics in
    Biopharmaceutical Research 9 (2017).

    Parameters
    ----------
    confidence : ndarray of shape (n,)
        ``box_confidence``.
    overlap : ndarray of shape (n,)
        The IoU of the predicted and the true box.

    Returns
    -------
    x, y : ndarray of shape (n_points,)
        Points of the curve, which is linear between them, and constant before and after.
    """
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit(confidence, overlap).predict(confidence)
    y, step = np.unique(fitted, return_inverse=True)
    return np.bincount(step, confidence) / np.bincount(step), y


def apply_curve(confidence: FloatArray, curve: tuple[FloatArray, FloatArray]) -> FloatArray:
    """The IoU that a curve of :func:`fit_curve` expects; NaN stays NaN."""
    return np.interp(confidence, *curve)
