import subprocess
import sys
import time

import pytest

from distilro import cli
from distilro.errors import DataError

HEAVY = ("torch", "transformers", "sklearn", "datasets", "pandas", "matplotlib")


def run_python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def test_help_names_every_stage_with_a_sentence():
    stages = cli.describe_stages()
    assert {"fetch", "prepare", "audit", "mix", "train", "logits", "predict", "report"} <= set(
        stages
    )
    assert all(text.endswith(".") for text in stages.values())


def test_help_loads_nothing_heavy_and_takes_half_a_second_at_most():
    script = (
        "import sys\nfrom distilro import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [n for n in {HEAVY!r} if n in sys.modules])"
    )
    assert "LOADED []" in run_python(script)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        run_python(
            "from distilro import cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit: pass"
        )
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.5


@pytest.mark.parametrize(
    "command", ["fetch", "prepare", "audit", "mix", "score", "matrix", "report"]
)
def test_a_stage_that_needs_no_torch_does_not_load_it(command):
    script = f"import sys, distilro.commands.{command}\nprint('torch' in sys.modules)"
    assert run_python(script).strip() == "False"


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
