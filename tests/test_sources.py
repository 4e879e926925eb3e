import re
import subprocess
import sys

import pytest

from distilro.sources import list_sources
from tests.support import ROOT

COMMANDS = sorted(
    path.stem for path in (ROOT / "src/distilro/commands").glob("*.py") if path.stem != "__init__"
)


def list_all(command):
    return set(list_sources(command, str(ROOT / "src")))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_sources_of_a_command_hold_every_module_that_it_loads(command):
    script = (
        f"import sys, distilro.cli, distilro.commands.{command}\n"
        "print('\\n'.join(m.__file__ for n, m in sys.modules.items() if n.startswith('distilro')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert set(done.stdout.split()) <= list_all(command)


def test_a_stage_does_not_depend_on_modules_that_it_does_not_use():
    assert not any("/training/" in path for path in list_all("fetch"))
    assert not any("/delivery/" in path for path in list_all("train"))


def test_every_rule_names_a_command_that_there_is():
    """A name without a module would leave its rule blind to edits of that command."""
    rules = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "workflow/rules").glob("*.smk"))
    named = re.findall(r'code=code\("([^"]*)"\)', rules)
    called = re.findall(r'"(?:distilro|\{params\.program\}) ([a-z-]+) ', rules)
    assert sorted(named) == sorted(name.replace("-", "_") for name in called)
    assert set(named) <= set(COMMANDS)


def test_paths_are_relative_so_that_records_of_runs_can_move(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert all(path.startswith("src/distilro/") for path in list_sources("fetch"))


def test_every_module_is_a_source_of_some_command():
    used = set().union(*(list_all(command) for command in COMMANDS))
    modules = {str(path) for path in (ROOT / "src/distilro").rglob("*.py")}
    planning = {
        "recipes.py",
        "sources.py",
        "choices.py",
        "evidence.py",
    }  # they lay out jobs; what they say are params and inputs
    assert {path for path in modules - used if path.rpartition("/")[2] not in planning} == set()
