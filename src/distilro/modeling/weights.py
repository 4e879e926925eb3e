"""Weights: a module's tensors as safetensors, in float32 as they are or cut to float16.

A weight that two places share is written once, under the name that transformers looks for; whoever
loads the file shares it again. What the tensors mean is the business of the configuration beside
them. Source of the format: safetensors' README, which forbids tensors that share memory.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from distilro.artifacts import write_atomically
from distilro.errors import ExportError


def collect_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's weights by name, on the CPU; tied ones once, under their source's name."""
    weights = module.state_dict()
    tied = getattr(module, "all_tied_weights_keys", {})  # copy -> source, of transformers' models
    copies = {
        copy
        for copy, source in tied.items()
        if weights[copy].data_ptr() == weights[source].data_ptr()
    }
    return {
        name: value.detach().cpu().contiguous()
        for name, value in weights.items()
        if name not in copies
    }


def halve_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights rounded to float16; whole numbers stay as they are.

    A weight of 6e-5 or more keeps 11 bits: it is off by at most 1 part in 2048. A smaller one is
    off by at most 3e-8, and becomes zero below that. Loading in float32 brings nothing back.

    Raises:
        ExportError: a weight is beyond the largest float16, 65504, or is not a number.
    """
    halved = {}
    for name, value in weights.items():
        if value.is_floating_point():
            _check_range(name, value)
            halved[name] = value.half()
        else:
            halved[name] = value
    return halved


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, atomically; equal tensors are equal bytes."""
    with write_atomically(path) as temporary:
        save_file(dict(tensors), temporary, metadata={"format": "pt"})


def hash_weights(module: nn.Module) -> str:
    """Return the SHA-256 of the bytes that a module's weights would be written as."""
    return hashlib.sha256(save(collect_weights(module), metadata={"format": "pt"})).hexdigest()


def _check_range(name: str, value: Tensor) -> None:
    largest = torch.finfo(torch.float16).max
    outside = value[~(value.abs() <= largest)]  # subtle: true of NaN, which `> largest` is not
    if outside.numel():
        raise ExportError(
            f"{name}: expected weights from -{largest:g} to {largest:g}, all that float16 can "
            f"hold, got {outside.numel()} beyond, the first of them {outside[0].item():g}. "
            "Nothing was written; keep the weights in float32."
        )
