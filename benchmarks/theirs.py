"""Their side: the Hugging Face Trainer, run as `python -m benchmarks.theirs JOB.json ROW.json`.

`default` is TrainingArguments as it comes, with padding to the longest text of a batch. `tuned` is
what a careful user sets: bfloat16 where the hardware has it, batches grouped by length, fused
AdamW, as many tokens in a batch as ours has, and our warm-up and weight decay.
"""

import time
from pathlib import Path

import numpy as np
from datasets import Dataset
from tokenizers import Tokenizer, models
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from benchmarks.corpus import Split
from benchmarks.flops import count_parameters
from benchmarks.jobs import Job
from benchmarks.plain import PlainClassifier
from benchmarks.worker import Outcome, run_worker
from distilro.corpora.examples import Task
from distilro.evaluation.validation import score_logits
from distilro.modeling.precision import choose_precision

_EVALUATION_BATCH = 64  # of the tuned side; the defaults' is 8


def train_theirs(job: Job, data: dict[str, dict[str, Split]]) -> list[Outcome]:
    """Train the only seed of the job on its only set."""
    (splits,) = data.values()
    (seed,) = job.seeds
    train, valid = splits["train"], splits["valid"]
    model = PlainClassifier(Path(job.work, "encoder"), train.examples.task, job.plan.dropout, seed)
    arguments = choose_arguments(job, seed, mean_tokens=float(train.tokens.lengths.mean()))
    trainer = Trainer(
        model,
        arguments,
        data_collator=DataCollatorWithPadding(build_padder()),
        train_dataset=build_dataset(train),
        eval_dataset=build_dataset(valid),
        compute_metrics=build_metric(valid),
    )
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    real = int(train.tokens.lengths.sum()) * job.plan.epochs
    return [
        Outcome(
            seconds=seconds,
            steps=trainer.state.global_step,
            padding_share=1.0 - real / model.tokens_held,
            scores=[row["eval_score"] for row in trainer.state.log_history if "eval_score" in row],
            precision="bf16" if arguments.bf16 else "fp32",
            batch_examples=arguments.per_device_train_batch_size,
            attention_dropout=model.encoder.config.attention_probs_dropout_prob,
            parameters=count_parameters(model.encoder),
        )
    ]


def choose_arguments(job: Job, seed: int, *, mean_tokens: float) -> TrainingArguments:
    """Return the Trainer's settings of a side; both save nothing and validate every epoch."""
    plan = job.plan
    tuned = {
        "bf16": choose_precision("auto", plan.device) == "bf16",
        "train_sampling_strategy": "group_by_length",
        "length_column_name": "length",
        "optim": "adamw_torch_fused",
        # As many examples as fit into our budget of tokens, and no more than ours has.
        "per_device_train_batch_size": min(
            plan.batch_examples, max(1, int(plan.batch_tokens / mean_tokens))
        ),
        "per_device_eval_batch_size": _EVALUATION_BATCH,
        "dataloader_num_workers": 0,
        "warmup_steps": 0.1,  # below 1 it is a share of the steps
        "weight_decay": 0.01,
    }
    return TrainingArguments(
        output_dir=str(Path(job.work, "trainer")),
        num_train_epochs=plan.epochs,
        learning_rate=plan.learning_rate,
        seed=seed,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=plan.device == "cpu",
        **({} if job.side == "default" else tuned),
    )


def build_dataset(split: Split) -> Dataset:
    """Return a split as the Trainer reads it: token ids, labels and lengths."""
    tokens, target = split.tokens, split.examples.target
    texts = np.split(tokens.ids, tokens.offsets[1:-1])
    one_label = split.examples.task.kind == "multi_class"
    columns = {
        "input_ids": [ids.tolist() for ids in texts],
        "attention_mask": [[1] * len(ids) for ids in texts],
        "labels": target.argmax(axis=1).tolist() if one_label else target.tolist(),
        "length": tokens.lengths.tolist(),
    }
    return Dataset.from_dict(columns)


def build_padder() -> PreTrainedTokenizerFast:
    """Return a tokenizer that knows how to pad with id 0, and nothing else."""
    words = models.WordLevel({"[PAD]": 0}, unk_token="[PAD]")  # noqa: S106 - no password
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), pad_token="[PAD]")  # noqa: S106


def build_metric(valid: Split):  # noqa: ANN201 - what compute_metrics takes
    """Return the score of the validation texts: the same number as on our side."""
    task: Task = valid.examples.task

    def score(prediction: EvalPrediction) -> dict[str, float]:
        logits = np.asarray(prediction.predictions, dtype=np.float32)
        examples = valid.examples
        return {"score": score_logits(task, logits, examples.target, examples.observed)}

    return score


if __name__ == "__main__":
    run_worker(train_theirs)
