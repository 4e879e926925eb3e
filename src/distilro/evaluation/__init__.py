"""Evaluation: predictions, metrics, intervals and the matrix."""
