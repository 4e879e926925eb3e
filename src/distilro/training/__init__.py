"""Training: objectives, task sampling, batches and the loop."""
