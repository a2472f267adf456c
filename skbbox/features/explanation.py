"""``explain``: what a model reads each box from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..inputs import check_images, warn_of_bad_images
from ..windows import Look

if TYPE_CHECKING:
    from ..typing import ImagesLike

# This module imports no Keras, because the estimator inherits from its class.

__all__ = ["ExplanationMixin"]


class ExplanationMixin:
    """The method ``explain`` of an estimator with networks."""

    def explain(self, X: ImagesLike) -> list[tuple[Look, ...]]:
        """Attention and distributions of the edges, from which the spatial head reads each box.

        The spatial head weights each position of its feature maps by the attention, and predicts
        each edge as the mean of a distribution over columns or rows.

        Parameters
        ----------
        X : images of length n
            As for :meth:`fit`.

        Returns
        -------
        list of n tuples of Look
            One :class:`skbbox.windows.Look` for each look at the image, the first at all of it:
            ``window``, ``box``, ``attention``, ``x_edges`` and ``y_edges``. The box of the last
            look is that of ``predict``. An unreadable image has none, see `on_bad_image`. Where
            `presence` is below `presence_threshold`, looks show where the object would be.

        Raises
        ------
        ImageError
            If an image cannot be read; names the row.
        ValueError
            If `box_head` is not ``"spatial"``: other heads have neither attention nor
            distributions. Or if y of ``fit`` had no box.

        See Also
        --------
        skbbox.PredictionDisplay : Draws them on the image.
        predict_spread : Only the standard deviations of the distributions.
        """
        from ..network.box_heads import ATTENTION, EDGES
        from .predict import BOX, compute_distributions

        fitted: Any = self._get_fitted()  # type: ignore[attr-defined]
        explainer = fitted._networks.explainer
        if explainer is None:
            raise ValueError(
                "explain needs attention and distributions of the edges, which only "
                f"box_head='spatial' has. Received: box_head={fitted.box_head!r}."
            )
        if not fitted._has_boxes:
            raise ValueError(
                "explain needs boxes, but y had none in fit; only classes were learned."
            )
        images = check_images(X)
        predictor = fitted._make_predictor(explainer)
        looks, bad = predictor.look_separately(images.items, fitted._count_looks())
        if fitted.on_bad_image == "warn":
            warn_of_bad_images(bad, len(images))
        columns = [
            (
                windows,
                outputs[BOX],
                outputs[ATTENTION][..., 0].astype(float),
                *(compute_distributions(outputs[name]) for name in EDGES),
            )
            for windows, outputs in looks
        ]
        return [
            () if row in bad else tuple(Look(*(values[row] for values in look)) for look in columns)
            for row in range(len(images))
        ]
