"""The two-head network: backbones, heads, and work on Keras's graphs."""

from .backbones import small_convnet

__all__ = ["small_convnet"]
