"""The stages of a fit: with frozen layers or of the whole network, then fine-tuning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..exceptions import InterruptionWarning
from ..history import combine_histories
from ..network.building import get_frozen
from ..network.graph import get_heads, unfreeze
from ..parameters import get_height_and_width
from .plan import auto_epochs, count_epochs, stops_early
from .sources import FeatureSource, ImageSource
from .trainer import train

if TYPE_CHECKING:
    import keras

    from ..features.frozen_backbone import FrozenBackbone
    from .checkpoints import Checkpoint
    from .plan import FitPlan, PreviousFit, TrainingSpec
    from .sources import BatchSource

__all__ = ["Stage", "StagesResult", "list_stages", "report_interruption", "train_stages"]

History = dict[str, list[float]]

#: Name of the first stage, by the part of the backbone that is frozen.
FIRST_STAGE = {
    "all": "frozen backbone",
    "early": "frozen early layers",
    "none": "whole network",
}


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes
    ----------
    name : {"frozen backbone", "frozen early layers", "whole network", "fine-tuning"}
        "fine-tuning" unfreezes the backbone.
    source : BatchSource
        Of features for what is trained on them, or of images for the whole network.
    epochs : int
    seed : int
        Seed of the order of rows and of augmentation.
    spec : TrainingSpec
    """

    name: str
    source: BatchSource
    epochs: int
    seed: int
    spec: TrainingSpec


@dataclass(frozen=True)
class StagesResult:
    """The histories of a fit's stages.

    Attributes
    ----------
    names : list of str
        Name of each stage that began.
    histories : list of dict
        History of each of them.
    interrupted : bool
        Whether Ctrl-C ended the last of them.
    """

    names: list[str]
    histories: list[History]
    interrupted: bool = False

    @property
    def stages(self) -> list[tuple[str, int]]:
        """Name and number of epochs of each stage."""
        return list(zip(self.names, map(count_epochs, self.histories), strict=True))

    @property
    def n_epochs(self) -> int:
        """Number of epochs of all stages."""
        return sum(map(count_epochs, self.histories))

    def get_attributes(self, previous: PreviousFit | None) -> dict[str, Any]:
        """``history_``, ``stages_`` and ``n_iter_``, with those of the previous fit."""
        histories, stages = self.histories, self.stages
        if previous:
            histories, stages = [previous.history, *histories], [*previous.stages, *stages]
        history = combine_histories(histories)
        return {"history_": history, "stages_": stages, "n_iter_": count_epochs(history)}


def list_stages(
    parameters: Mapping[str, Any],
    plan: FitPlan,
    spec: TrainingSpec,
    backbone: FrozenBackbone | None,
    seed: int,
) -> list[Stage]:
    """The stages of a fit that have epochs.

    Parameters
    ----------
    parameters : dict of str to object
        Parameters of the estimator, checked.
    plan : FitPlan
    spec : TrainingSpec
        Without patience, which follows from the number of images.
    backbone : FrozenBackbone or None
        None trains the whole network from the start.
    seed : int
        Of the first stage; the next one adds 1.
    """
    augment, batch_size = parameters["augment"], parameters["batch_size"]
    epochs = parameters["epochs"]
    if epochs == "auto":
        is_new = parameters["weights"] is None
        epochs = auto_epochs(
            len(plan.train_rows), batch_size, parameters["n_looks"], is_new, plan.count_labelled()
        )
    spec = replace(spec, has_missing_labels=not plan.targets.is_complete)
    if stops_early(parameters, len(plan.images)):
        spec = replace(spec, patience=parameters["patience"])
    size = get_height_and_width(parameters["image_size"])
    n_looks = parameters["n_looks"]
    images = ImageSource(size, augment, n_looks, batch_size, spec.verbose)
    first: BatchSource = images
    if backbone and not callable(augment):
        first = FeatureSource(backbone, augment, n_looks, epochs, batch_size, spec.verbose)
    name = FIRST_STAGE[get_frozen(parameters["weights"], parameters["frozen"])]
    fine_tuning = replace(
        spec, learning_rate=parameters["fine_tune_learning_rate"], backbone_learning_rate=None
    )
    stages = [
        Stage(name, first, epochs, seed, spec),
        Stage("fine-tuning", images, parameters["fine_tune_epochs"], seed + 1, fine_tuning),
    ]
    return [stage for stage in stages if stage.epochs]


def train_stages(
    network: keras.Model,
    stages: Sequence[Stage],
    plan: FitPlan,
    *,
    callbacks: list[keras.callbacks.Callback],
    is_trained: bool,
    checkpoint: Checkpoint | None = None,
    observers: Sequence[keras.callbacks.Callback] = (),
) -> StagesResult:
    """Train a network stage by stage; each continues from the weights of the one before.

    Parameters
    ----------
    network : keras.Model
        From images to all outputs that are trained.
    stages : sequence of Stage
    plan : FitPlan
    callbacks : list of keras.callbacks.Callback
    is_trained : bool
        Whether the weights come from an earlier fit.
    checkpoint : Checkpoint, default=None
        Stages that it has finished are not trained again.
    observers : sequence of keras.callbacks.Callback, default=()
        As for :func:`train`.

    Returns
    -------
    StagesResult
    """
    finished = list(checkpoint.histories) if checkpoint else []
    names: list[str] = []
    histories: list[History] = []
    interrupted = False
    for stage in stages:
        if stage.name == "fine-tuning":
            unfreeze(network)
        if len(histories) < len(finished):
            # The checkpoint of the next stage holds its weights.
            history = finished[len(histories)]
        else:
            try:
                batches = stage.source.make_batches(plan, stage.seed)
            except KeyboardInterrupt:  # While images are decoded or features computed.
                return StagesResult(names, histories, interrupted=True)
            history, interrupted = train(
                get_heads(network) if stage.source.gives_features else network,
                *batches,
                stage.spec,
                epochs=stage.epochs,
                callbacks=callbacks,
                is_trained=is_trained or bool(histories),
                checkpoint=checkpoint,
                observers=observers,
            )
            if checkpoint and not interrupted:
                checkpoint.finish_stage(history)
        names.append(stage.name)
        histories.append(history)
        if interrupted:
            break
    return StagesResult(names, histories, interrupted)


def report_interruption(result: StagesResult, previous: PreviousFit | None) -> None:
    """Warn that training is incomplete; raise KeyboardInterrupt if no epoch is complete."""
    if not result.n_epochs:
        raise KeyboardInterrupt
    n_epochs = result.n_epochs + (previous.n_iter if previous else 0)
    warnings.warn(
        f"Training was interrupted; the weights after {n_epochs} epochs were kept, and the "
        "estimator is fitted. In a search, interrupt twice to end all of it.",
        InterruptionWarning,
        stacklevel=3,
    )
