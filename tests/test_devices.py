"""Claims about devices: each job has a GPU of its own, and a dead job holds none.

The GPUs are two made-up names; the jobs are real processes and the locks are real.
"""

import os
import select
import signal
import stat
import subprocess
import sys

import pytest

from distilro import devices
from distilro.devices import Gpu, claim_device, describe_hardware, list_gpus, list_usable_ids
from distilro.errors import SettingsError

TWO = ("GPU-a", "GPU-b")
JOB = """
import os, sys
from distilro.devices import claim_device
with claim_device(1, available=sys.argv[2:], folder=sys.argv[1], poll_seconds=0.02) as device:
    print(device, os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.readline()
print("released", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def _machine_without_gpus(monkeypatch):
    """Start every test from a machine that has no GPU, whatever it really has."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "list_gpus", lambda: [])


@pytest.fixture
def machine_with_two(monkeypatch):
    monkeypatch.setattr(devices, "list_gpus", lambda: [Gpu(gpu, "Made-up 1") for gpu in TWO])


@pytest.fixture
def start_job(tmp_path):
    """Return a function that starts a job which claims a GPU and holds it until told to go on."""
    jobs = []

    def start(available=TWO):
        command = [sys.executable, "-c", JOB, str(tmp_path), *available]
        job = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        jobs.append(job)
        return job

    yield start
    for job in jobs:
        job.kill()
        job.communicate()


def go_on(job):
    job.stdin.write("\n")
    job.stdin.flush()


def is_silent(job, seconds):
    """Tell whether a job has printed nothing for so many seconds."""
    return not select.select([job.stdout], [], [], seconds)[0]


def test_a_job_without_gpus_sees_none_and_the_environment_comes_back(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with claim_device(0) as device:
        assert device == "cpu"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


def test_a_granted_gpu_that_does_not_exist_means_the_cpu_and_a_warning(caplog):
    with claim_device(1) as device:
        assert device == "cpu"
    assert "No GPU found" in caplog.text


def test_a_negative_number_of_gpus_is_a_settings_error():
    with pytest.raises(SettingsError, match="expected 0 or more, got -1"), claim_device(-1):
        pass


def test_a_claim_is_given_back_when_the_job_fails(tmp_path):
    def fail():
        with claim_device(1, available=["GPU-a"], folder=tmp_path):
            raise RuntimeError("a training that failed")

    with pytest.raises(RuntimeError, match="a training that failed"):
        fail()
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    with claim_device(1, available=["GPU-a"], folder=tmp_path) as device:
        assert device == "cuda"


@pytest.mark.usefixtures("machine_with_two")
def test_a_single_device_named_from_outside_is_respected_without_a_lock(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b")
    with claim_device(1, folder=tmp_path) as device:
        assert (device, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "GPU-b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("machine_with_two")
@pytest.mark.parametrize(
    ("visible", "usable"),
    [
        (None, ["GPU-a", "GPU-b"]),
        ("1, 0", ["1", "0"]),
        ("0,-1,1", ["0"]),  # CUDA stops reading at the first name that is no device
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
    ],
)
def test_visible_devices_narrow_the_choice(monkeypatch, visible, usable):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert list_usable_ids() == usable


def test_a_device_named_where_no_driver_is_does_not_count(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert list_usable_ids() == []


def test_two_jobs_at_once_get_different_gpus(start_job):
    first, second = start_job(), start_job()
    said = {first.stdout.readline(), second.stdout.readline()}
    assert said == {"cuda GPU-a\n", "cuda GPU-b\n"}


def test_a_third_job_waits_until_one_of_two_gpus_is_free(start_job):
    first = start_job()
    first_gpu = first.stdout.readline()
    start_job().stdout.readline()
    third = start_job()
    assert is_silent(third, seconds=1.0)
    go_on(first)
    assert first.stdout.readline() == "released\n"  # the first job lives on without its GPU
    assert third.stdout.readline() == first_gpu


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_job_gives_its_gpu_back(start_job, how):
    killed = start_job(["GPU-a"])
    assert killed.stdout.readline() == "cuda GPU-a\n"
    waiting = start_job(["GPU-a"])
    assert is_silent(waiting, seconds=0.5)
    killed.send_signal(how)
    killed.wait()
    assert waiting.stdout.readline() == "cuda GPU-a\n"


def test_a_lock_file_can_be_opened_by_other_users_and_has_no_slash_in_its_name(tmp_path):
    before = os.umask(0o077)
    try:
        with claim_device(1, available=["MIG-GPU-a/7/0"], folder=tmp_path):
            (file,) = tmp_path.iterdir()
    finally:
        os.umask(before)
    assert file.name == "distilro-gpu-MIG-GPU-a-7-0.lock"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_link_laid_in_place_of_a_lock_file_is_refused(tmp_path):
    (tmp_path / "distilro-gpu-GPU-a.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), claim_device(1, available=["GPU-a"], folder=tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_list_of_nvidia_smi_is_read_and_mig_parts_replace_their_gpu():
    listing = (
        "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-11)\n"
        "GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-22)\n"
        "  MIG 3g.20gb     Device  0: (UUID: MIG-33)\n"
        "  MIG 3g.20gb     Device  1: (UUID: MIG-44)\n"
    )
    assert devices._parse_nvidia_smi(listing) == [
        Gpu("GPU-11", "NVIDIA H100 80GB HBM3"),
        Gpu("MIG-33", "NVIDIA A100-SXM4-40GB MIG 3g.20gb"),
        Gpu("MIG-44", "NVIDIA A100-SXM4-40GB MIG 3g.20gb"),
    ]
    assert devices._parse_nvidia_smi("No devices were found\n") == []


def test_a_broken_nvidia_smi_is_no_list(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert devices._parse_nvidia_smi(devices._run_nvidia_smi()) == []
    program.write_text("not a program", encoding="utf-8")
    assert devices._run_nvidia_smi() == ""
    monkeypatch.setenv("PATH", "")
    assert devices._run_nvidia_smi() == ""


def test_the_folder_of_the_nvidia_driver_is_read(tmp_path):
    for slot, identity in [("0000:01:00.0", "GPU-11"), ("0000:41:00.0", "GPU-????????")]:
        (tmp_path / slot).mkdir()
        text = f"Model: \t\t NVIDIA L4\nIRQ:   \t\t 42\nGPU UUID: \t {identity}\n"
        (tmp_path / slot / "information").write_text(text, encoding="utf-8")
    assert devices._read_nvidia_folder(tmp_path) == [Gpu("GPU-11", "NVIDIA L4")]
    assert devices._read_nvidia_folder(tmp_path / "absent") == []


def test_the_folder_of_the_amd_driver_is_counted_without_its_processors(tmp_path):
    for node, identity in [("0", "0"), ("1", "51522"), ("2", "9911"), ("10", "3")]:
        (tmp_path / node).mkdir()
        (tmp_path / node / "gpu_id").write_text(identity + "\n", encoding="utf-8")
    assert [gpu.id for gpu in devices._read_amd_folder(tmp_path)] == ["0", "1", "2"]
    assert devices._read_amd_folder(tmp_path / "absent") == []


def test_listing_the_gpus_of_this_machine_never_fails():
    assert all(gpu.id and gpu.name for gpu in list_gpus())


def test_the_hardware_is_described_without_the_machine_s_name():
    hardware = describe_hardware()
    assert hardware["processor"]
    assert 1 <= hardware["cores"] <= os.cpu_count()
    assert hardware["memory_gib"] > 0
    assert set(hardware) == {"processor", "cores", "memory_gib", "flags", "gpus"}
    assert hardware == describe_hardware()


def test_a_processor_s_name_and_matrix_flags_are_read(tmp_path):
    file = tmp_path / "cpuinfo"
    text = "processor\t: 0\nmodel name\t: Made-up 9\nflags\t\t: fpu amx_bf16 avx2\n\n" * 2
    file.write_text(text, encoding="utf-8")
    assert devices._read_processor(file) == ("Made-up 9", ["avx2", "amx_bf16"])
    assert devices._read_processor(tmp_path / "absent")[1] == []


@pytest.mark.parametrize(("quota", "cores"), [("100000 100000", 1), ("50000 100000", 1)])
def test_a_container_s_quota_limits_the_cores(tmp_path, quota, cores):
    file = tmp_path / "cpu.max"
    file.write_text(quota + "\n", encoding="utf-8")
    assert devices._count_cores(file) == cores
    file.write_text("max 100000\n", encoding="utf-8")
    assert devices._count_cores(file) == devices._count_cores(tmp_path / "absent")


def test_a_container_s_limit_is_the_memory(tmp_path):
    file = tmp_path / "memory.max"
    file.write_text(f"{2**29}\n", encoding="utf-8")
    assert devices._measure_memory_gib(file) == 0.5
    file.write_text("max\n", encoding="utf-8")
    assert devices._measure_memory_gib(file) > 0.5


def test_this_module_does_not_import_torch():
    code = "import sys, distilro.devices; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
