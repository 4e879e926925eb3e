"""How a model computes on a device: in float32 or bfloat16, packed or padded, repeatably."""

import logging
import os
from pathlib import Path

import torch

from distilro.errors import SettingsError

logger = logging.getLogger(__name__)

SETTINGS = ("auto", "bf16", "fp32")
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}  # of activations
# Without one of these a processor computes bfloat16 by converting, which is slower than float32.
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


def choose_precision(setting: str, device: str | None = None) -> str:
    """Return "bf16" or "fp32": what `setting` says or, for "auto", what the hardware is fast in.

    Args:
        setting: "auto", "bf16" or "fp32".
        device: "cpu" or "cuda"; None is the GPU where this process sees one.

    Raises:
        SettingsError: the setting is none of the three.
    """
    if setting not in SETTINGS:
        raise SettingsError(f"precision: expected one of {', '.join(SETTINGS)}, got {setting!r}.")
    if setting != "auto":
        return setting
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    fast = (
        torch.cuda.is_bf16_supported(including_emulation=False)
        if device.startswith("cuda")
        else has_cpu_bfloat16()
    )
    return "bf16" if fast else "fp32"


def has_cpu_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor multiplies bfloat16 matrices in hardware.

    A machine that does not say (no such file) counts as one that does not.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not _CPU_FLAGS.isdisjoint(flags.split())


def choose_packing(setting: str, device: str, precision: str, attention_dropout: float) -> bool:
    """Return whether batches leave padding away: as the setting says or, for "auto", where it pays.

    Flash attention of variable length, which makes it pay, is for GPUs, in bfloat16, without
    dropout.
    """
    if setting != "auto":
        return setting == "packed"
    return device.startswith("cuda") and precision == "bf16" and attention_dropout == 0.0


def choose_device(claimed: str) -> str:
    """Return the device to compute on: the one claimed, or "cpu" where torch cannot use it.

    Args:
        claimed: "cpu" or "cuda", as `distilro.devices.claim_device` yields it.
    """
    if claimed != "cpu" and not torch.cuda.is_available():
        logger.warning(
            "There is a GPU, but this build of torch (%s) cannot use it: computing on the CPU. "
            "Choose another build: make setup TORCH_INDEX=...",
            torch.__version__,
        )
        return "cpu"
    if claimed != "cpu":
        _make_repeatable()
    return claimed


def _make_repeatable() -> None:
    """Let a GPU add in one order only, so that the same run gives the same weights."""
    # Read when cuBLAS starts: without a workspace of its own, streams may share one and differ.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
