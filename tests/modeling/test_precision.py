"""Precision: what a setting means on which hardware."""

import pytest
import torch

from distilro.errors import SettingsError
from distilro.modeling.precision import choose_device, choose_precision, has_cpu_bfloat16


@pytest.mark.parametrize("setting", ["bf16", "fp32"])
def test_a_setting_that_says_so_is_obeyed(setting: str):
    assert choose_precision(setting) == setting


@pytest.mark.parametrize(
    ("line", "fast"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("Features\t: fp asimd", False),
    ],
)
def test_a_processor_is_judged_by_its_flags(tmp_path, line: str, fast: bool):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\n{line}\n", encoding="utf-8")
    assert has_cpu_bfloat16(path) is fast


def test_a_machine_that_does_not_say_computes_in_float32(tmp_path):
    assert not has_cpu_bfloat16(tmp_path / "absent")


@pytest.mark.parametrize(("fast", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_follows_the_processor(monkeypatch, fast: bool, expected: str):
    monkeypatch.setattr("distilro.modeling.precision.has_cpu_bfloat16", lambda: fast)
    assert choose_precision("auto", "cpu") == expected


@pytest.mark.parametrize(("fast", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_follows_the_gpu_where_there_is_one(monkeypatch, fast: bool, expected: str):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: fast)
    assert choose_precision("auto") == expected


def test_another_setting_is_refused():
    with pytest.raises(SettingsError, match="precision: expected one of auto, bf16, fp32"):
        choose_precision("int8")


@pytest.mark.parametrize(("usable", "expected"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_that_torch_cannot_use_is_left_alone(monkeypatch, usable: bool, expected: str):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    assert choose_device("cuda") == expected
    assert choose_device("cpu") == "cpu"
