"""Claims about the set-up: what is locked is installed, and a finished set-up is recognised."""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PIN = re.compile(r"^([a-z0-9.-]+)==([^ ;]+)(?: ; (.+?))? \\$", re.MULTILINE)
# What belongs in .venv besides the lock: pip, this package, torch with the libraries of its build,
# and the Slurm plugin for those who asked for it.
OTHERS = re.compile(
    r"pip|distilro|torch|triton.*|pytorch-triton.*|nvidia-.*|cuda-.*|rocm.*|amd-.*"
    r"|snakemake-executor-plugin-slurm.*"
)

inside_venv = pytest.mark.skipif(
    os.path.realpath(sys.prefix) != os.path.realpath(ROOT / ".venv"),
    reason="the tests do not run in the project's own .venv (`make test` does)",
)


def run_make(*arguments, folder=ROOT):
    # These tests may themselves run under `make test ARGS=...`, which would reach this make too.
    passed_on = {"MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "ARGS", "SCENARIO", "CORES", "GPUS"}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in passed_on},
        text=True,
        capture_output=True,
        check=False,
    )


def read_yaml(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def read_project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def simplify(title):
    """Reduce a title to its letters and digits, so that braces and line breaks do not matter."""
    return re.sub(r"[\W_]+", "", title).casefold()


def test_every_locked_package_has_hashes_and_torch_is_locked_apart():
    blocks = re.split(r"\n(?=[a-z0-9.-]+==)", LOCK)[1:]
    assert len(blocks) == len(PIN.findall(LOCK)) > 100
    assert all(re.search(r"\n    --hash=sha256:[0-9a-f]{64}", block) for block in blocks)
    names = {name for name, _, _ in PIN.findall(LOCK)}
    assert not {"torch", "triton"} & names
    assert not [name for name in names if name.startswith(("nvidia-", "cuda-"))]


def test_the_lock_names_its_command_and_no_host():
    assert LOCK.splitlines()[1] == "#    make lock"
    assert "://" not in LOCK


def test_everything_that_the_project_declares_is_locked():
    project = read_project()
    declared = project["dependencies"] + project["optional-dependencies"]["dev"]
    pins = {name: version for name, version, _ in PIN.findall(LOCK)}
    for requirement in map(Requirement, declared):
        if requirement.name != "torch":
            assert pins[canonicalize_name(requirement.name)] in requirement.specifier


@inside_venv
def test_the_installed_versions_are_the_locked_ones():
    locked = {
        name: version
        for name, version, marker in PIN.findall(LOCK)
        if not marker or Marker(marker).evaluate()
    }
    installed = {canonicalize_name(d.metadata["Name"]): d.version for d in metadata.distributions()}
    assert {name: installed.get(name) for name in locked} == locked
    assert [name for name in installed if name not in locked and not OTHERS.fullmatch(name)] == []


@inside_venv
def test_a_finished_set_up_is_recognised_in_well_under_a_second():
    began = time.perf_counter()
    done = run_make("--question", "setup")
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.perf_counter() - began < 1


def test_an_old_python_is_refused_before_anything_is_made(tmp_path):
    for name in ["Makefile", "requirements.lock", "pyproject.toml"]:
        shutil.copy(ROOT / name, tmp_path)
    code = (
        "import sys; sys.version_info = (3, 9, 2); sys.version = '3.9.2 (old)'; exec(sys.argv[1])"
    )
    old = tmp_path / "old-python"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$2"\n', encoding="utf-8")
    old.chmod(0o755)
    done = run_make("setup", f"PYTHON={old}", folder=tmp_path)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "is 3.9.2" in done.stderr
    missing = run_make("setup", "PYTHON=no-such-python", folder=tmp_path)
    assert "no-such-python is not there" in missing.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_scenario_and_the_arguments_reach_snakemake_before_its_resources():
    printed = run_make("--dry-run", "run", "SCENARIO=laptop", "ARGS=-n report").stdout
    wanted = "snakemake -n report --cores all --resources gpu=1 --config scenario=laptop"
    assert printed.splitlines()[-1].endswith(wanted)


def test_resume_unlocks_sweeps_and_completes():
    printed = run_make("--dry-run", "resume", "SCENARIO=study").stdout.splitlines()
    assert printed[-3].endswith("snakemake --unlock --config scenario=study")
    assert "'.writing-*'" in printed[-2]
    assert printed[-1].endswith("--config scenario=study --rerun-incomplete")


def test_another_build_of_torch_is_chosen_by_its_index():
    index = "https://download.pytorch.org/whl/cu130"
    printed = run_make(
        "--dry-run", "setup", f"TORCH_INDEX={index}", "TORCH=torch==2.13.0", "CURDIR=/new"
    ).stdout
    assert printed.count(f"--index-url {index} 'torch==2.13.0'") == 2
    assert printed.count("--index-url") == 2


def test_the_ci_script_is_a_program_without_syntax_errors():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_the_slurm_profile_is_laid_over_the_default_one_without_changing_it():
    slurm = read_yaml("profiles/slurm/config.yaml")
    default = read_yaml("profiles/default/config.yaml")
    assert slurm["executor"] == "slurm"
    assert not set(slurm) & set(default)


def test_every_reference_of_the_citation_file_is_whole():
    citation = read_yaml("CITATION.cff")
    assert citation["version"] == read_project()["version"]
    assert len(citation["references"]) > 20
    for reference in citation["references"]:
        assert reference["title"]
        assert all(author["family-names"] for author in reference["authors"])
        assert "year" in reference or reference["type"] == "slides"
        assert reference.get("start", 0) <= reference.get("end", 0)


def test_every_paper_that_the_registry_cites_is_in_the_citation_file():
    known = {simplify(reference["title"]) for reference in read_yaml("CITATION.cff")["references"]}
    cited = []
    for path in sorted((ROOT / "data" / "registry").glob("*.yaml")):
        citation = read_yaml(path).get("citation") or ""
        cited += re.findall(r"^\s*title = \{(.+?)\},$", citation, re.MULTILINE | re.DOTALL)
    assert len(cited) >= 6
    assert {simplify(title) for title in cited} <= known


def test_the_code_is_mit_and_the_sample_corpus_is_cc0():
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    corpus = (ROOT / "data" / "embedded" / "LICENSE").read_text(encoding="utf-8")
    assert "CC0 1.0 Universal" in corpus
