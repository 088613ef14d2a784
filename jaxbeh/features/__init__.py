"""Pure functions from gathered frames to a model's inputs, with masks."""
