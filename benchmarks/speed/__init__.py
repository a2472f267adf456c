"""Benchmark of searches, fits and predictions against plain Keras; see ``__main__.py``."""
