"""Test sets by their roles: what is predicted for every task, and what each part is called.

A role names a dataset of the task, one of its splits and the variant in which the model sees it.
The stage predict asks a model by this table, and later stages name the roles that they read. No
torch.
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
