"""Where scikit-learn's metadata routing passes the parameters of ``fit``."""

from __future__ import annotations

from typing import Any

from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)

from .folds import is_prefit, make_public_splitter

__all__ = ["ConformalRouting"]


class ConformalRouting:
    """Passes ``sample_weight`` to the localizer, and ``groups`` to the splitter."""

    estimator: Any
    cv: Any

    def get_metadata_routing(self) -> MetadataRouter:
        """Where scikit-learn's metadata routing passes ``sample_weight``, ``groups`` and others."""
        fit = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        router.add(estimator=self.estimator, method_mapping=fit)
        if not is_prefit(self.cv):
            split = MethodMapping().add(caller="fit", callee="split")
            router.add(splitter=make_public_splitter(self.cv), method_mapping=split)
        return router

    def _route(self, fit_params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters for ``fit`` of the localizer, and for ``split`` of the splitter."""
        if _routing_enabled():
            routed = process_routing(self, "fit", **fit_params)
            of_split = {} if is_prefit(self.cv) else routed.splitter.split
            return dict(routed.estimator.fit), dict(of_split)
        groups = fit_params.pop("groups", None)
        return fit_params, {} if groups is None else {"groups": groups}
