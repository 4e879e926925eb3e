"""distilro: small, trustworthy Romanian classifiers by cross-lingual multi-task distillation."""

__version__ = "0.1.0"
