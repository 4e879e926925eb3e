"""Corpora: fetching, reading, labelling, auditing and mixing examples."""
