"""README.md, taken apart: its code blocks, its inline code, its tables and its commands."""

import re
import textwrap

import yaml

from tests.support import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [
    (language, textwrap.dedent(text))
    for language, text in re.findall(r"^ *```(\w+)\n(.*?)^ *```$", README, re.DOTALL | re.MULTILINE)
]
PROSE = re.sub(r"^ *```.*?^ *```$", "", README, flags=re.DOTALL | re.MULTILINE)
INLINE = list(dict.fromkeys(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", PROSE)))
PROGRAMS = ("make", "snakemake", "dvc", "distilro", "pytest", "bash", "source", "git", "pip")


def list_commands():
    lines = [line for language, text in BLOCKS if language == "bash" for line in text.splitlines()]
    lines += [code for code in INLINE if code.split()[0] in PROGRAMS and " " in code]
    lines += [code for code in INLINE if re.match(r"[A-Z_]+=\S+ ", code)]
    plain = [re.sub(r"\s+# .*$", "", line).strip() for line in lines]
    return [line for line in dict.fromkeys(plain) if line]


def list_snippets(language):
    """Return (file named in the first line, text) of every block of a language."""
    texts = [text for found, text in BLOCKS if found == language]
    named = [re.match(r"# (\S+)", text) for text in texts]
    assert all(named), "every snippet begins with the name of its file"
    return [(match[1], text) for match, text in zip(named, texts, strict=True)]


def read_table(*head):
    """Return the rows of the table whose header begins with these cells, as lists of cells."""
    start = README.index("| " + " | ".join(head) + " |")
    lines = README[start:].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def find_names(cell):
    return re.findall(r"`([^`]+)`", cell)


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def find_test(name):
    files = (ROOT / "tests").rglob("test_*.py")
    found = [f for f in files if f"\ndef {name}(" in f.read_text(encoding="utf-8")]
    assert found, f"no test is called {name}"
