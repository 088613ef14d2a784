"""State, loss, augmentation, optimiser, the compiled epoch, the loop and its checkpoints."""
