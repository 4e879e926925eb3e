"""The command line: `distilro STAGE ...`, one module of `distilro.commands` per stage.

Nothing heavy is imported before the stage is known: the help text of each stage is read from its
module's source, so that `distilro --help` takes a fraction of a second.
"""

import argparse
import ast
import importlib
import logging
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import distilro.commands
from distilro.errors import DistilroError
from distilro.startup import measure_import_seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Run one stage; return 0, or the exit code of the DistilroError that stopped it."""
    argv = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    stages = describe_stages()
    parser = argparse.ArgumentParser(
        prog="distilro", description="One stage of the flow; the workflow calls these."
    )
    subparsers = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    asked = next((word for word in argv if not word.startswith("-")), None)
    run = None
    for stage, text in stages.items():
        subparser = subparsers.add_parser(stage, help=text, description=text)
        if stage == asked:
            module = importlib.import_module(f"distilro.commands.{stage.replace('-', '_')}")
            module.add_arguments(subparser)
            run = module.run
    arguments = parser.parse_args(argv)
    measure_import_seconds()  # the first call counts: the stage's record tells of it
    try:
        run(arguments)
    except DistilroError as error:
        logging.getLogger("distilro").error("%s: %s", type(error).__name__, error)
        return error.exit_code
    except KeyboardInterrupt:  # before or after a training's steps, which hear it themselves
        logging.getLogger("distilro").error("Stopped by Ctrl-C.")
        return 130
    return 0


def describe_stages() -> dict[str, str]:
    """Return each stage's name and the first line of its module's docstring, sorted by name."""
    folder = Path(distilro.commands.__file__).parent
    stages = {}
    for module in pkgutil.iter_modules([str(folder)]):
        tree = ast.parse((folder / f"{module.name}.py").read_text(encoding="utf-8"))
        lines = (ast.get_docstring(tree) or "").splitlines()
        stages[module.name.replace("_", "-")] = lines[0] if lines else ""
    return dict(sorted(stages.items()))


if __name__ == "__main__":
    sys.exit(main())
