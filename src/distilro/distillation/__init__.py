"""Distillation: the teacher-logit store and its uses."""
