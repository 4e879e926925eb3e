"""The classifier that the Trainer trains: transformers alone, nothing of our modules.

The same encoder, mean pooling, dropout and linear head as distilro.modeling.heads.Classifier, and
the loss that a user of the Trainer would write.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel

from distilro.corpora.examples import Task


class PlainClassifier(nn.Module):
    """An encoder with one head; `tokens_held` counts what its training batches held, padding too.

    Axes: B texts of a batch, T tokens of the longest, H width of a state, L labels.
    """

    def __init__(self, encoder: Path, task: Task, dropout: float, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = AutoModel.from_pretrained(encoder, add_pooling_layer=False)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.config.hidden_size, len(task.labels))
        nn.init.normal_(self.head.weight, std=0.02)  # as ours
        nn.init.zeros_(self.head.bias)
        self.one_label = task.kind == "multi_class"
        self.tokens_held = 0

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        """Return the mean loss of the batch and its logits [B, L].

        Args:
            input_ids: int64 [B, T], padded.
            attention_mask: int64 [B, T].
            labels: int64 [B] of a multi-class task, float32 [B, L] of a multi-label one.
        """
        if self.training:
            self.tokens_held += input_ids.numel()
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)  # [B, T, 1]
        pooled = (states * weights).sum(dim=1) / weights.sum(dim=1)  # [B, H]
        logits = self.head(self.dropout(pooled))  # [B, L]
        if self.one_label:
            loss = functional.cross_entropy(logits.float(), labels)
        else:
            loss = functional.binary_cross_entropy_with_logits(logits.float(), labels.float())
        return {"loss": loss, "logits": logits}
