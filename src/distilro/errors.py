"""The errors that distilro raises on purpose, each with the exit code of the command line.

Every message says what happened, where (file, line, row id or key), what was expected and what
came instead, what was kept or deleted, and what to do. Anything that is not one of these is a bug.
"""


class DistilroError(Exception):
    """An error that distilro explains; `exit_code` is what the command line returns."""

    exit_code = 1


class SettingsError(DistilroError):
    """A setting, a recipe or a command-line value is unknown or out of its range."""

    exit_code = 2


class IntegrityError(DistilroError):
    """Bytes are not the ones that were recorded: a checksum, a header or a manifest differs."""

    exit_code = 3


class DataError(DistilroError):
    """A corpus row, a label or a count is not what the registry promises."""

    exit_code = 4


class TrainingError(DistilroError):
    """A training cannot go on or must not be believed (a loss that is not finite, say)."""

    exit_code = 5


class ExportError(DistilroError):
    """A model or a page cannot be delivered as promised."""

    exit_code = 6


class VerificationError(DistilroError):
    """A run does not agree with the published one: a finding, and not a fault of a file."""

    exit_code = 1


class StopRequestedError(DistilroError):
    """A signal asked the process to stop, and it did so in good order."""

    def __init__(self, signal: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal  # as a shell counts: 143 after SIGTERM, 130 after Ctrl-C
