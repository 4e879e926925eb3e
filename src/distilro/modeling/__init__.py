"""Models: tokenizers, encoders, heads and the linear baseline."""
