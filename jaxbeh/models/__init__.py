"""Linen modules from inputs to per-frame logits, one file each."""
