"""The cards of the page: a picture each, its facts, and what the script filters and sorts by."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics import NO_OBJECT
from .pictures import count_worst, make_pictures, select_rows

if TYPE_CHECKING:
    from ..typing import FloatArray, IntArray
    from .pictures import Picture
    from .results import Results

__all__ = [
    "Card",
    "choose_typical",
    "describe_selection",
    "format_median",
    "list_class_options",
    "make_cards",
]

#: Number of typical pictures, and of cards from which on they are chosen.
N_TYPICAL = 5
ENOUGH = 4 * N_TYPICAL

#: In place of a label that y lacks.
NOT_GIVEN = "not given"


@dataclass(frozen=True)
class Card:
    """A picture with its facts; the script filters and sorts by `data`.

    Attributes
    ----------
    row : int
    picture : Picture
    wrong : str or None
        What is wrong, whatever the IoU threshold is.
    is_low : bool
    names, scores : list of str
    facts, data : dict
    """

    row: int
    picture: Picture
    wrong: str | None
    is_low: bool
    names: list[str]
    scores: list[str]
    facts: dict[str, str]
    data: dict[str, Any]


def make_cards(results: Results, max_images: int, verbose: int = 0) -> list[Card]:
    """The cards of the images that get a picture, lowest IoU first."""
    positions = select_rows(results.iou, max_images)
    pictures = make_pictures(results, positions, verbose)
    places = np.random.default_rng(0).permutation(len(positions))
    return [
        _make_card(results, position, picture, place)
        for position, picture, place in zip(positions, pictures, places, strict=True)
    ]


def list_class_options(results: Results, cards: list[Card]) -> dict[int, str]:
    """Index and label of the classes that the cards can be filtered by."""
    labels = [*results.labels, NO_OBJECT]
    indices = sorted({card.data["data-class"] for card in cards} - {-1})
    return {index: labels[index] for index in indices}


def describe_selection(n_cards: int, n_rows: int) -> str:
    """Which images have a card."""
    if n_cards == n_rows:
        return f"All {n_rows:,} images are on this page."
    if not n_cards:
        return "No image is on this page, because max_images is 0."
    n_worst = count_worst(n_cards)
    return (
        f"{n_cards:,} of {n_rows:,} images are on this page: the {n_worst:,} with the lowest IoU, "
        f"and {n_cards - n_worst:,} of the others at random."
    )


def choose_typical(results: Results, cards: list[Card]) -> list[Card]:
    """The cards whose IoU is nearest to the median; none if there are few cards."""
    iou = np.array([results.iou[np.flatnonzero(results.rows == card.row)[0]] for card in cards])
    if (~np.isnan(iou)).sum() < ENOUGH:
        return []
    nearest = np.argsort(np.abs(iou - np.nanmedian(results.iou)), kind="stable")
    return [cards[place] for place in nearest[:N_TYPICAL]]


def format_median(results: Results) -> str:
    """The median IoU, rounded down as that of each card; empty without an IoU."""
    is_known = results.pairs.has_iou
    median = np.median(results.iou[is_known]) if is_known.any() else np.nan
    return "" if np.isnan(median) else f"{np.floor(100 * median) / 100:.2f}"


def _make_card(results: Results, position: int, picture: Picture, place: int) -> Card:
    pairs, level = results.pairs, results.levels[position]
    iou = results.iou[position] if pairs.has_iou[position] else None
    right = None if results.is_right is None else results.is_right[position]
    is_right = None if right is None or np.isnan(right) else bool(right)
    outcome = "false alarm" if pairs.is_false_alarm[position] else None
    outcome = "missed" if pairs.is_missed[position] else outcome
    columns = {
        "class confidence": results.class_confidence,
        "expected IoU": results.box_confidence,
        "presence": pairs.presence,
    }
    confidences = {
        name: f"{values[position]:.2f}"
        for name, values in columns.items()
        if values is not None and not np.isnan(values[position])
    }
    suspicion = results.suspicion
    return Card(
        row=results.rows[position],
        picture=picture,
        wrong=outcome or ("wrong class" if is_right is False else None),
        is_low=iou is not None and outcome is None and not results.is_found[position],
        names=_name_card(results, position, is_right),
        scores=[*_list_ious(results, position), *(f"{k} {v}" for k, v in confidences.items())],
        facts=_list_facts(results, position, confidences),
        data={
            "data-row": results.rows[position],
            "data-class": _find_class(results, position),
            "data-iou": None if iou is None else repr(float(iou)),
            "data-level": level,
            "data-right": None if is_right is None else int(is_right),
            "data-outcome": outcome,
            "data-suspicion": None if suspicion is None else repr(float(suspicion[position])),
            "data-place": place,
        },
    )


def _name_card(results: Results, position: int, is_right: bool | None) -> list[str]:
    pairs = results.pairs
    true = _get_label(results, results.true_indices, position)
    predicted = _get_label(results, results.predicted_indices, position)
    is_empty, is_detected = pairs.is_empty[position], pairs.is_detected[position]
    if is_empty or not is_detected:
        true = NO_OBJECT if is_empty else true or "box only"
        predicted = predicted or "object" if is_detected else NO_OBJECT
        return [f"predicted: {predicted}", f"true: {true}"]
    if is_right is False:
        return [predicted or "", f"not {true}"]
    if true is None and results.true_indices is not None:
        return [f"predicted: {predicted or 'box only'}", "true: box only"]
    return [true or predicted or ""]


def _list_ious(results: Results, position: int) -> list[str]:
    pairs = results.pairs
    if pairs.is_empty[position]:
        return []
    if not pairs.has_iou[position]:
        return ["no IoU: class only"]
    # Rounded down, so that it never shows a threshold that the IoU misses.
    return [f"IoU {results.levels[position] / 100:.2f}"]


def _list_facts(results: Results, position: int, confidences: dict[str, str]) -> dict[str, str]:
    pairs = results.pairs
    true = _list_labels(results, results.true_indices, pairs.true[position], position)
    predicted = _list_labels(
        results, results.predicted_indices, pairs.predicted[position], position
    )
    if pairs.is_empty[position]:
        true = {"object": NO_OBJECT}
    if not pairs.is_detected[position]:
        predicted = {"object": NO_OBJECT}
    has_iou = pairs.has_iou[position] and not pairs.is_empty[position]
    facts = {
        "image": _get_path(results.images[position]),
        **{f"true {name}": label for name, label in true.items() if name != "box"},
        **{f"predicted {name}": label for name, label in predicted.items() if name != "box"},
        "IoU": f"{results.iou[position]:.3f}" if has_iou else None,
        **confidences,
        "true box": true.get("box"),
        "predicted box": predicted.get("box"),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _list_labels(
    results: Results, class_indices: IntArray | None, box: FloatArray, position: int
) -> dict[str, str]:
    labels = {"box": NOT_GIVEN if np.isnan(box).any() else _format_box(box)}
    if class_indices is not None:
        labels["class"] = _get_label(results, class_indices, position) or NOT_GIVEN
    return labels


def _find_class(results: Results, position: int) -> int:
    """Index of the class that the filter shows the card for; the last one is no object."""
    indices, is_without = results.true_indices, results.pairs.is_empty
    if indices is None:
        indices, is_without = results.predicted_indices, ~results.pairs.is_detected
    if indices is None:
        return -1
    return len(results.classes) if is_without[position] else int(indices[position])


def _get_label(results: Results, class_indices: IntArray | None, position: int) -> str | None:
    if class_indices is None or class_indices[position] < 0:
        return None
    return results.labels[class_indices[position]]


def _get_path(image: Any) -> str | None:
    return os.fspath(image) if isinstance(image, (str, os.PathLike)) else None


def _format_box(box: FloatArray) -> str:
    left, right, top, bottom = box
    return f"x {left:.3f} to {right:.3f}, y {top:.3f} to {bottom:.3f}"
