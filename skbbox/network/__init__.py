"""The two-head network: backbones, heads, and operations on Keras graphs."""

from .backbones import small_convnet

__all__ = ["small_convnet"]
