"""Benchmarks: our training engine side by side with the Hugging Face Trainer.

`python -m benchmarks.run` measures and writes benchmarks/results/; `benchmarks.table` shows what
was written. Each measured run is a process of its own. Nothing here is part of the package, and
Snakemake's own timings lie beside it in benchmarks/<scenario>/.
"""
