"""Behaviour bouts from animal pose tracking, with JAX (the array framework) and Flax."""

__version__ = "0.1.0"
