"""Every command in README.md works.

Commands are those of ```bash blocks and of `inline code`. Each is run, or dry-run where it would
take long, by the rule of its program in a copy of the project in which nothing has run. A command
without a rule is an error, so that none goes untested.
"""

import argparse
import importlib
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from distilro.cli import describe_stages
from distilro.settings import load_settings, merge_settings
from tests.readme import find_test, list_commands, list_snippets, read_yaml
from tests.support import ROOT
from tests.workflow.replay import copy_project, count_jobs


class Checkout:
    """A copy as a newcomer clones it, with the scenario files that README shows."""

    def __init__(self, folder):
        self.folder = folder / "clone"
        self.folder.mkdir()
        copy_project(self.folder)
        for name in ["params.yaml", "workflow/scenarios/embedded.yaml"]:
            shutil.copy(ROOT / name, self.folder / name)
        for name, text in list_snippets("yaml"):
            if name.startswith("workflow/scenarios/"):
                (self.folder / name).write_text(text, encoding="utf-8")
        self.places = {"/path/to/store": f"{folder}/store", "/path/to/mirror": f"{folder}/mirror"}
        self.plans = {}
        self.printed = {}

    def run(self, command, **environment):
        """Run a list of words in the copy, once, untouched by the make that may run these tests."""
        asked = (*command, *environment.items())
        if asked in self.printed:
            return self.printed[asked]
        # An empty value would count as set in the Makefile, hence taken away and not emptied.
        ours = {"MAKEFLAGS", "MAKELEVEL", "ARGS", "SCENARIO", "CORES", "GPUS", "DVC_STAGE"}
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**kept, "PYTHONPATH": str(self.folder / "src"), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command} returned {done.returncode}:\n{done.stdout[-3000:]}"
        self.printed[asked] = done.stdout
        return done.stdout

    def plan(self, words):
        """Dry-run Snakemake once per distinct request; return the jobs it counts."""
        request = " ".join(word for word in words if word not in ("-n", "--dry-run"))
        # How many cores and GPUs there are changes no plan; the first of its kind is run as it is.
        kind = re.sub(r" --cores (all|\d+)| --resources gpu=\d+| --rerun-incomplete", "", request)
        if kind not in self.plans:
            printed = self.run(["snakemake", "-n", *shlex.split(request)[1:], "--quiet", "host"])
            self.plans[kind] = count_jobs(printed)
        return self.plans[kind]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("readme"))


def check_make(checkout, words, environment):
    printed = checkout.run(["make", "--dry-run", *words[1:]], **environment).splitlines()
    assert printed
    for line in printed:
        called = line.partition(".venv/bin/activate && ")[2]
        if called.startswith("snakemake "):
            check_snakemake(checkout, shlex.split(called), {})
        if called.startswith("distilro "):
            check_distilro(checkout, shlex.split(called), {})


def check_snakemake(checkout, words, environment):
    profile = environment.pop("SNAKEMAKE_PROFILE", None)
    if profile is not None:
        assert (checkout.folder / profile / "config.yaml").is_file()
    if "--lint" in words:
        return  # slow, and a target of `make lint`
    if "--unlock" in words:
        checkout.run(words, **environment)
    else:
        assert checkout.plan(words)


def check_dvc(checkout, words, environment):
    profile = environment.get("SNAKEMAKE_PROFILE", "profiles/default")
    assert (checkout.folder / profile / "config.yaml").is_file()
    if words[1] == "pull":
        # Needs what a whole run pushes.
        find_test("test_a_clone_that_pulls_has_nothing_to_do")
        checkout.run([*words, "--help"])
    elif words[1] == "repro":
        make_outs(checkout.folder)
        dry = [word for word in words if word != "--dry"] + ["--dry"]
        assert checkout.run(dry).count("Running stage") == len(read_yaml("dvc.yaml")["stages"])
    else:
        checkout.run([*words, *(["--force"] if words[1:3] == ["remote", "add"] else [])])


def check_pytest(checkout, words, environment):
    assert " tests collected" in checkout.run([*words, "--collect-only", "-q"], **environment)


def check_distilro(checkout, words, environment):
    if "--help" in words:
        checkout.run(words, **environment)
        return
    assert words[1] in describe_stages()
    if len(words) == 2:
        return  # named, not called
    parser = argparse.ArgumentParser()
    importlib.import_module(f"distilro.commands.{words[1]}").add_arguments(parser)
    arguments = parser.parse_args(words[2:])
    if words[1] == "plan":
        assert "Hours of one device" in checkout.run(words, **environment)
        return
    needed = [getattr(arguments, name, None) for name in ("manifest", "results", "matrix")]
    needed = next(filter(None, needed), ".")
    if os.environ.get("DISTILRO_MIRROR") and (checkout.folder / needed).exists():
        checkout.run(words, **environment)


def check_bash(checkout, words, environment):
    checkout.run(["bash", "-n", *words[1:]], **environment)


def check_activation(checkout, words, environment):
    assert words[1:] == [".venv/bin/activate"]
    assert "-m venv --clear .venv" in checkout.run(["make", "--dry-run", "setup"])


def check_pip(checkout, words, environment):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.findall(r"\[(\w+)\]", " ".join(words))
    assert extras
    assert set(extras) <= set(project["optional-dependencies"])


def check_python(checkout, words, environment):
    assert words[1] == "-m"
    if "--into" in words:
        checkout.run(words, **environment)
    else:  # a measurement of many minutes: its options are checked
        checkout.run([*words[:3], "--help"], **environment)


RULES = {
    "make": check_make,
    "snakemake": check_snakemake,
    "dvc": check_dvc,
    "pytest": check_pytest,
    "distilro": check_distilro,
    "bash": check_bash,
    "source": check_activation,
    "python": check_python,
    ".venv/bin/pip": check_pip,
}


def make_outs(folder):
    """Make the outputs of every phase, empty: a dry run of DVC looks for what comes before."""
    for stage in read_yaml("dvc.yaml")["stages"].values():
        for out in stage["outs"]:
            path = folder / next(iter(out)).replace("${scenario}", "embedded")
            if path.suffix:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            else:
                path.mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("command", list_commands())
def test_every_command_works_or_is_planned(command, checkout):
    for shown, real in checkout.places.items():
        command = command.replace(shown, real)
    words = shlex.split(command.replace("$PWD/", ""))
    environment = {}
    while re.match(r"[A-Z_]+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    assert not {"&&", "|", ";", ">"} & set(words), "one command a line, so that each is checked"
    rule = RULES.get(words[0])
    assert rule, f"no rule says how to check {command!r}; add one to RULES"
    rule(checkout, words, environment)


def test_commands_are_found_at_all():
    commands = list_commands()
    assert len(commands) > 25
    assert {"make run", "make test", "make resume", "dvc repro", "snakemake -n"} <= set(commands)


def test_the_scenario_to_copy_is_valid(checkout):
    names = [name for name, _ in list_snippets("yaml") if name.startswith("workflow/scenarios/")]
    assert names
    for name in names:
        assert load_settings(checkout.folder, Path(name).stem).scenario == Path(name).stem


def test_the_recipes_to_copy_are_planned(checkout):
    ((_, text),) = [part for part in list_snippets("yaml") if part[0] == "params.yaml"]
    own = merge_settings(read_yaml("workflow/scenarios/embedded.yaml"), yaml.safe_load(text))
    path = checkout.folder / "workflow/scenarios/own.yaml"
    path.write_text(yaml.safe_dump(own), encoding="utf-8")
    jobs = checkout.plan(["snakemake", "--cores", "all", "--config", "scenario=own"])
    # One per task for single_ro, single_mixed and half_english, which come along or are named; one
    # for multi, annealed, two_voices and heavy_topic.
    assert jobs["train"] == 3 + 3 + 3 + 1 + 1 + 1 + 1
    assert jobs["logits_linear"] == 3
