"""The hub: a model from the local cache, and the commit that it is. No network."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from distilro.errors import DataError, IntegrityError
from distilro.modeling.encoders import load_encoder
from distilro.modeling.hub import fetch_from_hub
from tests.modeling.tiny import write_encoder

NAME = "somebody/tiny"
COMMIT, OLDER = "ab" * 20, "cd" * 20


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Give a hub cache with two commits of one model; the hub itself is out of reach."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = tmp_path / "cache" / "models--somebody--tiny"
    for commit, seed in ((COMMIT, 1), (OLDER, 2)):
        write_encoder(model / "snapshots" / commit, seed)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    return tmp_path / "cache"


def test_a_pinned_model_is_read_from_the_cache(cache):
    folder, commit = fetch_from_hub(NAME, OLDER, cache=cache)
    assert commit == OLDER
    assert load_encoder(folder)[1].model_type == "bert"


def test_a_revision_that_is_not_known_is_resolved_once_and_recorded(cache, tmp_path):
    lock = tmp_path / "registry" / "encoders.lock.json"
    assert fetch_from_hub(NAME, None, lock=lock, cache=cache)[1] == COMMIT
    assert json.loads(lock.read_text(encoding="utf-8")) == {NAME: COMMIT}
    refs = cache / "models--somebody--tiny" / "refs" / "main"
    refs.write_text(OLDER, encoding="utf-8")  # the author went on
    assert fetch_from_hub(NAME, None, lock=lock, cache=cache)[1] == COMMIT


def test_a_pinned_revision_comes_before_the_recorded_one(cache, tmp_path):
    lock = tmp_path / "encoders.lock.json"
    lock.write_text(json.dumps({NAME: COMMIT}), encoding="utf-8")
    assert fetch_from_hub(NAME, OLDER, lock=lock, cache=cache)[1] == OLDER
    assert json.loads(lock.read_text(encoding="utf-8")) == {NAME: COMMIT}


def test_a_model_out_of_reach_is_an_error_that_says_what_to_do(cache):
    shutil.rmtree(cache)
    with pytest.raises(DataError, match=r"somebody/tiny at revision abab.*source: scratch"):
        fetch_from_hub(NAME, COMMIT, cache=cache)


def test_a_lock_that_names_no_commit_is_refused(cache, tmp_path):
    lock = tmp_path / "encoders.lock.json"
    lock.write_text(json.dumps({NAME: "main"}), encoding="utf-8")
    with pytest.raises(IntegrityError, match="expected a commit of 40 hex digits, got 'main'"):
        fetch_from_hub(NAME, None, lock=lock, cache=cache)


def test_pickled_weights_and_code_are_never_asked_for(monkeypatch, tmp_path):
    asked = {}

    def pretend(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(tmp_path / COMMIT)

    monkeypatch.setattr("distilro.modeling.hub.snapshot_download", pretend)
    fetch_from_hub(NAME, COMMIT)
    files = [
        "model.safetensors",
        "pytorch_model.bin",
        "modeling_evil.py",
        "tf_model.h5",
        "vocab.txt",
    ]
    wanted = huggingface_hub.utils.filter_repo_objects(
        files, allow_patterns=asked["allow_patterns"]
    )
    assert list(wanted) == ["model.safetensors", "vocab.txt"]
