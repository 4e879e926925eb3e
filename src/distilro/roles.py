"""Test sets by their roles: what is predicted for every task, and what the files are called.

A role names a dataset of the task, one of its splits and the variant in which the model sees it.
The workflow names its files by this table and the stage predict writes them by it. No torch.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """One test set of a task.

    `dataset` is a field of TaskDatasets; `variant` is "official", the texts as published, or a
    perturbation of them (corpora/perturbations.py).
    """

    name: str
    dataset: str
    split: str
    variant: str = "official"


ROLES = (
    Role("ro", "ro", "test"),
    Role("ro-stripped", "ro", "test", "stripped"),
    Role("ro-cedilla", "ro", "test", "cedilla"),
    Role("ro-upper", "ro", "test", "upper_case"),
    Role("ro-typos", "ro", "test", "typos"),
    Role("ro-valid", "ro", "valid"),
    Role("en", "en", "test"),
    Role("en-valid", "en", "valid"),
    Role("ood", "ood", "test"),
)


def select_roles(*, ood: bool) -> tuple[Role, ...]:
    """Return the roles of a task; `ood` says whether it has a test set of another domain."""
    return tuple(role for role in ROLES if ood or role.dataset != "ood")


def list_roles(ood: bool) -> tuple[str, ...]:
    """Return the names of a task's roles, which are those of its files of predictions.

    >>> list_roles(ood=False)[-1], list_roles(ood=True)[-1]
    ('en-valid', 'ood')
    """
    return tuple(role.name for role in select_roles(ood=ood))
