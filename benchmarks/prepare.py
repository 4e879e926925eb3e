"""Make what all sides share, before anything is measured: the encoder and the tokens.

Run as `python -m benchmarks.prepare JOB.json ROW.json`.
"""

import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from benchmarks.corpus import make_corpus
from benchmarks.jobs import Job, read_job
from benchmarks.shapes import SHAPES
from distilro.artifacts import write_json


def write_encoder(job: Job) -> None:
    """Write a BERT of the plan's shape with random weights; the job's first seed decides them."""
    shape = SHAPES[job.plan.model]
    config = BertConfig(
        vocab_size=shape.vocabulary,
        num_hidden_layers=shape.layers,
        hidden_size=shape.hidden,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        hidden_dropout_prob=job.plan.encoder_dropout,
        attention_probs_dropout_prob=job.plan.attention_dropout,
        pad_token_id=0,
    )
    torch.manual_seed(job.seeds[0])
    BertModel(config, add_pooling_layer=False).save_pretrained(Path(job.work, "encoder"))


def main() -> None:
    """Prepare the job and say of each dataset whether it is real or drawn."""
    job = read_job(sys.argv[1])
    torch.set_num_threads(job.plan.threads)
    write_encoder(job)
    kinds = make_corpus(
        Path(job.work),
        job.data,
        prepared=Path(job.plan.prepared),
        vocabulary=SHAPES[job.plan.model].text_vocabulary,
        max_tokens=job.plan.max_tokens,
    )
    write_json(sys.argv[2], {"texts": kinds})


if __name__ == "__main__":
    main()
