"""Which source files a stage is made of, found by following its imports.

The workflow names these files as inputs of the stage's jobs, so that an edit of a module runs
again exactly the jobs that use it. Imports are read from the syntax tree, also those inside
functions; nothing is imported or run. Modules outside the package do not count.
"""

import ast
from functools import cache
from pathlib import Path

from distilro.errors import SettingsError

_PACKAGE = "distilro"


def list_sources(command: str, source_folder: str = "src") -> list[str]:
    """Return the files behind `distilro <command>`, sorted, as paths that begin source_folder.

    The command line itself is among them: it is what every job calls.

    Raises:
        SettingsError: there is no such command.
    """
    if _find_file(f"{_PACKAGE}.commands.{command}", source_folder) is None:
        raise SettingsError(
            f"{source_folder}: no module of the package's commands is called {command}; a job "
            "would not know its sources. Name the command as its module is called."
        )
    found: set[Path] = set()
    for module in (f"{_PACKAGE}.cli", f"{_PACKAGE}.commands.{command}"):
        _follow(module, source_folder, found)
    return sorted(path.as_posix() for path in found)


def _follow(module: str, source_folder: str, found: set[Path]) -> None:
    path = _find_file(module, source_folder)
    if path is None or path in found:
        return
    found.add(path)
    parent = module.rpartition(".")[0]
    if parent:
        _follow(parent, source_folder, found)  # importing a module runs its packages first
    for imported in _read_imports(path):
        _follow(imported, source_folder, found)


@cache
def _read_imports(path: Path) -> tuple[str, ...]:
    """Return every dotted name that a file may import from the package."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            # subtle: `from package import module` imports a module, not a name of the package.
            names.extend(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(name for name in names if name.split(".")[0] == _PACKAGE)


def _find_file(module: str, source_folder: str) -> Path | None:
    base = Path(source_folder, *module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)
