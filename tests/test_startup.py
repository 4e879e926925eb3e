import subprocess
import sys
import time

from distilro import startup
from distilro.startup import measure_import_seconds, read_start_ticks

SCRIPT = """
import time
time.sleep(0.3)
from distilro.startup import measure_import_seconds
first = measure_import_seconds()
time.sleep(0.1)
print(first, measure_import_seconds())
"""


def test_it_counts_from_the_start_of_the_process_to_the_first_call():
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    seconds = time.perf_counter() - began
    first, again = map(float, done.stdout.split())
    assert 0.3 <= first <= seconds - 0.1 + 0.02  # the kernel's ticks are hundredths
    assert again == first


def test_a_program_name_with_brackets_and_spaces_is_no_hindrance():
    assert read_start_ticks(f"7 (a) 1 2 (b c) S {'9 ' * 18}4321 0 0") == 4321


def test_a_system_without_proc_says_nothing_rather_than_a_guess(tmp_path, monkeypatch):
    monkeypatch.setattr(startup, "_STAT", tmp_path / "stat")
    assert measure_import_seconds.__wrapped__() is None
