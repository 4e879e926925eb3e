"""Roles: what is predicted for every task."""

import subprocess
import sys

from distilro.roles import ROLES, select_roles
from distilro.settings import TaskDatasets


def test_the_roles_of_a_task_by_hand():
    romanian = ("ro", "ro-stripped", "ro-cedilla", "ro-upper", "ro-typos", "ro-valid")
    assert name_roles(ood=False) == (*romanian, "en", "en-valid")
    assert name_roles(ood=True) == (*romanian, "en", "en-valid", "ood")


def name_roles(*, ood):
    return tuple(role.name for role in select_roles(ood=ood))


def test_every_role_has_a_name_of_its_own_and_a_dataset_of_the_settings():
    assert len({role.name for role in ROLES}) == len(ROLES)
    assert {role.dataset for role in ROLES} == set(TaskDatasets.model_fields)


def test_another_domain_is_tested_as_published():
    (role,) = set(select_roles(ood=True)) - set(select_roles(ood=False))
    assert (role.dataset, role.split, role.variant) == ("ood", "test", "official")


def test_the_table_needs_no_library():
    code = "import sys, distilro.roles; print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
