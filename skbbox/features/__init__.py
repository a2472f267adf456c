"""Features of a frozen backbone: computed once, kept, and shared by fits and predictions."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from .frozen_backbone import forget_features as forget_features

# Lazily, because `stream` is needed without Keras, which `frozen_backbone` imports.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"frozen_backbone": ["forget_features"]}
)
