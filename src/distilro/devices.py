"""Which device a job computes on, and what machine it ran on.

Snakemake counts GPUs but does not say which one a job may use. Here a job claims one of its own:
it locks a small file named after the GPU, so that two jobs on one machine never share a device,
and the kernel drops the lock when the process ends, however it ends. This module does not import
torch: it must run before torch looks at `CUDA_VISIBLE_DEVICES`. It does not spread one job over
several GPUs, and it does not see jobs of other programs.
"""

import argparse
import fcntl
import itertools
import logging
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypedDict

from distilro.errors import SettingsError

logger = logging.getLogger(__name__)

_VISIBLE = "CUDA_VISIBLE_DEVICES"  # the ROCm build of torch reads it too
_HIDDEN = ("", "-1", "NoDevFiles")  # what people and CUDA write there for "no device"
_GPU_LINE = re.compile(r"^GPU \d+: (?P<name>.+) \(UUID: (?P<id>[^)]+)\)")
_MIG_LINE = re.compile(r"^\s+MIG (?P<name>\S+) .*\(UUID: (?P<id>[^)]+)\)")
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


class Gpu(NamedTuple):
    """One GPU, or one MIG part of one: `id` is what `CUDA_VISIBLE_DEVICES` takes."""

    id: str
    name: str


class Hardware(TypedDict):
    """What a run was computed on, without the machine's name."""

    processor: str
    cores: int
    memory_gib: float
    flags: list[str]
    gpus: list[str]


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a job was granted: the arguments of every command that runs a model."""
    parser.add_argument("--gpus", type=int, default=0, help="0: stay on the CPU")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")


@contextmanager
def claim_device(
    gpus: int,
    *,
    available: Sequence[str] | None = None,
    folder: str | Path | None = None,
    poll_seconds: float = 0.5,
) -> Iterator[str]:
    """Yield "cuda" with one GPU claimed for this process, or "cpu"; waits while all are taken.

    Call it before torch touches CUDA. A single device named in `CUDA_VISIBLE_DEVICES` (by Slurm
    or by hand) is respected as it is; several are the choice. Where there is no GPU the job runs
    on the CPU, and the log says so.

    Args:
        gpus: GPUs granted to the job: 0 hides them all; any other number claims one, since a job
            computes on one device.
        available: Ids to choose from; by default what the machine and `CUDA_VISIBLE_DEVICES` offer.
        folder: Where the lock files lie; by default the machine's temporary folder. All jobs that
            are to keep out of each other's way must use the same one.
        poll_seconds: Seconds between two tries while every GPU is taken.

    Raises:
        SettingsError: `gpus` is negative.
    """
    if gpus < 0:
        raise SettingsError(f"gpus: expected 0 or more, got {gpus}. Nothing was started.")
    if gpus == 0:
        with _set_visible(""):
            yield "cpu"
        return
    ids = list_usable_ids() if available is None else list(available)
    if not ids:
        logger.warning("No GPU found, though one was granted: computing on the CPU.")
        yield "cpu"
    elif available is None and ids == [os.environ.get(_VISIBLE)]:
        yield "cuda"
    else:
        lock_folder = Path(tempfile.gettempdir() if folder is None else folder)
        with _hold_one(ids, lock_folder, poll_seconds) as gpu, _set_visible(gpu):
            logger.info("Computing on GPU %s.", gpu)
            yield "cuda"


def list_usable_ids() -> list[str]:
    """Return the GPU ids that this process may use, narrowed by `CUDA_VISIBLE_DEVICES`."""
    present = [gpu.id for gpu in list_gpus()]
    visible = os.environ.get(_VISIBLE)
    # subtle: Slurm names a GPU even where its driver is missing, so what is present comes first.
    if visible is None or not present:
        return present
    named = (part.strip() for part in visible.split(","))
    # subtle: as CUDA reads it, the list ends at the first name that is no device.
    return list(itertools.takewhile(lambda name: name not in _HIDDEN, named))


def list_gpus() -> list[Gpu]:
    """Return this machine's GPUs: as `nvidia-smi` or the NVIDIA or AMD driver lists them."""
    # subtle: in a container the driver's folder may show GPUs of the host that are out of reach;
    # nvidia-smi does not, and it alone knows MIG parts, so it is asked first.
    return (
        _parse_nvidia_smi(_run_nvidia_smi())
        or _read_nvidia_folder(Path("/proc/driver/nvidia/gpus"))
        or _read_amd_folder(Path("/sys/class/kfd/kfd/topology/nodes"))
    )


def describe_hardware() -> Hardware:
    """Return processor, usable cores, memory in GiB, matrix and vector flags, and GPU names.

    Cores and memory are what this process may use, as its affinity and control group say.
    """
    model, flags = _read_processor(Path("/proc/cpuinfo"))
    return {
        "processor": model,
        "cores": _count_cores(Path("/sys/fs/cgroup/cpu.max")),
        "memory_gib": _measure_memory_gib(Path("/sys/fs/cgroup/memory.max")),
        "flags": flags,
        "gpus": [gpu.name for gpu in list_gpus()],
    }


@contextmanager
def _set_visible(value: str) -> Iterator[None]:
    before = os.environ.get(_VISIBLE)
    os.environ[_VISIBLE] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VISIBLE]
        else:
            os.environ[_VISIBLE] = before


@contextmanager
def _hold_one(ids: Sequence[str], folder: Path, poll_seconds: float) -> Iterator[str]:
    for attempt in itertools.count():
        for gpu in ids:
            # A MIG id of an old driver has slashes in it.
            handle = _try_lock(folder / f"distilro-gpu-{gpu.replace('/', '-')}.lock")
            if handle is not None:
                try:
                    yield gpu
                finally:
                    # subtle: unlocked by name too, since a forked child may hold a copy. The file
                    # stays: removing it would let two jobs lock two files of the same name.
                    fcntl.flock(handle, fcntl.LOCK_UN)
                    os.close(handle)
                return
        if attempt == 0:
            logger.info("All %d GPUs are taken by other jobs: waiting for one.", len(ids))
        time.sleep(poll_seconds)


def _try_lock(path: Path) -> int | None:
    """Return an open handle that holds the lock of `path`, or None where another job holds it."""
    try:
        # subtle: opened for reading, which is all that flock needs: the file may be another
        # user's, and Linux refuses O_CREAT on such a file in a shared temporary folder.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW)
        os.fchmod(handle, 0o644)  # other users' jobs must be able to open it, whatever the umask
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _run_nvidia_smi() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed argument, no shell
            [program, "-L"], capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("nvidia-smi gave no list of GPUs (%s).", error)
        return ""
    return done.stdout.decode("utf-8", errors="replace")


def _parse_nvidia_smi(listing: str) -> list[Gpu]:
    """Return the GPUs of `nvidia-smi -L`; a GPU that is cut into MIG parts is its parts."""
    found: list[Gpu] = []
    whole: Gpu | None = None
    for line in listing.splitlines():
        if match := _GPU_LINE.match(line):
            whole = Gpu(match["id"], match["name"])
            found.append(whole)
        elif (match := _MIG_LINE.match(line)) and whole is not None:
            if found[-1] is whole:
                found.pop()
            found.append(Gpu(match["id"], f"{whole.name} MIG {match['name']}"))
    return found


def _read_nvidia_folder(folder: Path) -> list[Gpu]:
    found = []
    for file in sorted(folder.glob("*/information")):
        fields = dict(_split_field(line) for line in _read_lines(file))
        # Some containers hide the UUID behind question marks, and then it names no device.
        if "?" not in fields.get("GPU UUID", "?"):
            found.append(Gpu(fields["GPU UUID"], fields.get("Model", "NVIDIA GPU")))
    return found


def _read_amd_folder(folder: Path) -> list[Gpu]:
    """Return AMD GPUs numbered as ROCm numbers them: nodes of the driver that have a GPU id."""
    files = sorted(folder.glob("*/gpu_id"), key=lambda file: int(file.parent.name))
    owned = [file for file in files if _read_lines(file) not in ([], ["0"])]
    return [Gpu(str(number), "AMD GPU") for number in range(len(owned))]


def _read_processor(file: Path) -> tuple[str, list[str]]:
    fields: dict[str, str] = {}
    for line in _read_lines(file):
        name, value = _split_field(line)
        fields.setdefault(name, value)
    model = fields.get("model name") or platform.processor() or platform.machine()
    offered = set(fields.get("flags", "").split())
    return model, [flag for flag in _FLAGS if flag in offered]


def _count_cores(quota_file: Path) -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    # "200000 100000": microseconds of processor time in each period; "max ...": no limit.
    match = re.match(r"(\d+) (\d+)", "".join(_read_lines(quota_file)[:1]))
    return min(cores, max(1, int(match[1]) // int(match[2]))) if match else cores


def _measure_memory_gib(limit_file: Path) -> float:
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = "".join(_read_lines(limit_file)[:1])
    return round(min(memory_bytes, int(limit) if limit.isdigit() else memory_bytes) / 2**30, 1)


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []  # not this kind of machine


def _split_field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()
