"""Training: losses, task sampling, batches and the loop."""
