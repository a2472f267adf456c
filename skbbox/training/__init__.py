"""Training: the plan of a fit, batches, the loop, its callbacks and checkpoints."""
