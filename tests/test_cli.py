import pkgutil
import resource
import subprocess
import sys

import pytest

from distilro import cli, commands
from distilro.errors import DataError

HEAVY = ("torch", "transformers", "sklearn", "datasets", "pandas", "matplotlib")
NEEDED = {
    "encoder": {"torch", "transformers"},
    "student_encoder": {"torch", "transformers"},
    "train": {"torch", "transformers"},
    "language_gap": {"torch", "transformers"},
    "train_folds": {"torch", "transformers"},
    "train_linear": {"sklearn", "pandas"},  # scikit-learn looks whether pandas is there
    "train_linear_folds": {"sklearn", "pandas"},
}
COMMANDS = [module.name for module in pkgutil.iter_modules(commands.__path__)]


def run_python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def test_help_names_every_stage_with_a_sentence():
    stages = cli.describe_stages()
    data = {"fetch", "prepare", "fetch-texts", "clean-texts", "audit", "mix", "texts"}
    learning = {"encoder", "student-encoder", "train", "train-linear", "train-folds", "logits"}
    evaluation = {"predict", "score", "matrix", "compare", "calibrate", "loyalty", "language-gap"}
    beside = {"report", "publish", "plan", "verify"}
    assert data | learning | evaluation | beside <= set(stages)
    assert all(text.endswith(".") for text in stages.values())


def test_help_loads_nothing_heavy_and_takes_half_a_second_at_most():
    script = (
        "import sys\nfrom distilro import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [n for n in {HEAVY!r} if n in sys.modules])"
    )
    assert "LOADED []" in run_python(script)
    assert time_help(limit=0.5) < 0.5


@pytest.mark.parametrize("command", COMMANDS)
def test_a_stage_loads_only_the_heavy_libraries_that_it_needs(command):
    script = (
        f"import sys, distilro.commands.{command}\n"
        f"print(*(n for n in {HEAVY!r} if n in sys.modules))"
    )
    assert set(run_python(script).split()) <= NEEDED.get(command, set())


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - set(NEEDED)))
def test_the_help_of_a_light_stage_takes_a_second_at_most(command):
    assert time_help(command.replace("_", "-"), limit=1.0) < 1.0


def time_help(*stage, limit, tries=5):
    """Return the seconds of the first `distilro [STAGE] --help` below the limit, or the fewest.

    Processor seconds, which do not depend on what else the machine does.
    """
    fewest = float("inf")
    for _ in range(tries):
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "distilro.cli", *stage, "--help"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=120)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
        fewest = min(fewest, took)
        if fewest < limit:
            break
    return fewest


def test_the_imports_end_before_the_stage_runs(monkeypatch):
    happened = []

    class Stage:
        @staticmethod
        def add_arguments(parser):
            pass

        @staticmethod
        def run(arguments):
            happened.append("stage")

    monkeypatch.setattr(cli.importlib, "import_module", lambda name: Stage)
    monkeypatch.setattr(cli, "measure_import_seconds", lambda: happened.append("measured"))
    assert cli.main(["fetch"]) == 0
    assert happened == ["measured", "stage"]


def test_an_error_of_ours_becomes_its_exit_code_and_one_message(monkeypatch, caplog):
    class Stage:
        @staticmethod
        def add_arguments(parser):
            pass

        @staticmethod
        def run(arguments):
            raise DataError("file.json:3: unknown label 'joi'")

    monkeypatch.setattr(cli.importlib, "import_module", lambda name: Stage)
    assert cli.main(["fetch"]) == DataError.exit_code == 4
    assert "DataError: file.json:3: unknown label 'joi'" in caplog.text
