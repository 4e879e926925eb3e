import pytest

from tests.workflow.replay import copy_project


@pytest.fixture(scope="session")
def replay(tmp_path_factory):
    """A copy whose whole DAG has run, sealed by DVC; its path has a space and a letter of ours."""
    copy = copy_project(tmp_path_factory.mktemp("ș p a c e"))
    copy.snakemake()
    copy.run("dvc", "repro")
    copy.commit("run")
    return copy


@pytest.fixture
def restored(replay):
    """The copy, put back as it was after the test."""
    yield replay
    replay.run("git", "checkout", "-q", "--", ".")
    assert not replay.plan()
