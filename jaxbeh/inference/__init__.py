"""Probabilities for whole videos, bouts, and the submission."""
