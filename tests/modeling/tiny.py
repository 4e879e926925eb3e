"""A tokenizer, encoders and texts that are small enough for a test."""

from pathlib import Path

from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    DistilBertConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

from distilro.encoder_settings import ScratchSettings
from distilro.modeling.encoders import build_masked_model, save_encoder
from distilro.modeling.tokenization import train_tokenizer

TEXTS = [
    "Știința și țara merg împreună.",
    "Astăzi plouă mărunt în grădina bunicii.",
    "Copiii aleargă veseli prin parc!",
    "Nu mai suport zgomotul de afară...",
    "<user> mi-a trimis o poză: <url>",
    "Trenul a întârziat două ore, iar noi am așteptat.",
    "Câinele vecinului latră toată noaptea.",
    "Supa e rece, pâinea e veche și chelnerul se uită pe geam.",
    "The garden was quiet after the rain.",
    "Her brother laughed until his coffee went cold.",
]

SCRATCH = ScratchSettings(
    vocabulary_size=200, layers=2, hidden=16, heads=2, intermediate=32, lowercase=False
)

CONFIGS: dict[str, PretrainedConfig] = {
    "bert": BertConfig(
        vocab_size=210,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    ),
    "distilbert": DistilBertConfig(
        vocab_size=210, dim=16, n_layers=1, n_heads=2, hidden_dim=32, max_position_embeddings=40
    ),
    "roberta": RobertaConfig(
        vocab_size=210,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=42,
    ),
    "xlm-roberta": XLMRobertaConfig(
        vocab_size=210,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=42,
    ),
}


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return a WordPiece tokenizer of a few dozen pieces."""
    return train_tokenizer(TEXTS, SCRATCH.vocabulary_size, lowercase=False)


def write_encoder(folder: Path, seed: int = 1) -> Path:
    """Write an encoder of ours and return its folder."""
    tokenizer = build_tokenizer()
    model = build_masked_model(SCRATCH, tokenizer, seed)
    save_encoder(folder, model.base_model, tokenizer, {})
    return folder


def write_hub_model(folder: Path, kind: str = "bert") -> Path:
    """Write a model of an architecture as its author would have, and return its folder."""
    AutoModelForMaskedLM.from_config(CONFIGS[kind]).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder
