"""The command `fetch-texts`: a collection's files from a mirror, each of them checked."""

import hashlib
import urllib.error

import pytest

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.corpora import downloads
from tests.corpora.test_collections import ADDRESS, HEADER, declare

FILES = {"ro/o poveste.txt": "Știința e bună.\n".encode(), "ro/alta.txt": b"Alt text bun.\n"}


def pin(body):
    return hashlib.sha256(body).hexdigest()


def write_table(files):
    return HEADER + "".join(f"{name}\t{pin(body)}\t{len(body)}\n" for name, body in files.items())


class NoNetwork:
    """An opener for which every address is absent."""

    def open(self, request, timeout):
        raise urllib.error.HTTPError(request.full_url, 404, "Not Found", None, None)


@pytest.fixture
def mirrored(tmp_path, monkeypatch):
    """Give the folder that mirrors the collection's address; a registry lies beside it."""
    declare(tmp_path / "registry", write_table(FILES))
    folder = tmp_path / "mirror" / ADDRESS.removeprefix("https://")
    for name, body in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    monkeypatch.setenv("DISTILRO_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr(downloads, "_OPENER", NoNetwork())
    return folder


def fetch(tmp_path, collection="made_up"):
    argv = ["fetch-texts", "--collection", collection, "--registry", str(tmp_path / "registry")]
    return main([*argv, "--out", str(tmp_path / "raw" / "manifest.json")])


def test_files_are_named_by_their_hash_and_listed_in_the_order_of_the_table(mirrored, tmp_path):
    assert fetch(tmp_path) == 0
    assert read_json(tmp_path / "raw" / "manifest.json") == {
        "version": 1,
        "collection": "made_up",
        "files": [
            {"path": name, "bytes": len(body), "sha256": pin(body)} for name, body in FILES.items()
        ],
    }
    for body in FILES.values():
        assert (tmp_path / "raw" / pin(body)).read_bytes() == body
    assert len(list((tmp_path / "raw").iterdir())) == 3


def test_files_that_lie_there_need_no_source(mirrored, tmp_path, monkeypatch):
    fetch(tmp_path)
    before = (tmp_path / "raw" / "manifest.json").read_bytes()
    monkeypatch.setenv("DISTILRO_MIRROR", str(tmp_path / "absent"))
    assert fetch(tmp_path) == 0
    assert (tmp_path / "raw" / "manifest.json").read_bytes() == before


def test_a_file_that_was_damaged_is_fetched_again(mirrored, tmp_path):
    fetch(tmp_path)
    body = FILES["ro/alta.txt"]
    (tmp_path / "raw" / pin(body)).write_bytes(body[:-1])
    assert fetch(tmp_path) == 0
    assert (tmp_path / "raw" / pin(body)).read_bytes() == body


@pytest.mark.parametrize("body", [b"Alt text bux.\n", b"Alt text", b"Alt text bun.\nsi altul\n"])
def test_a_file_with_other_bytes_is_refused_and_no_manifest_is_written(
    mirrored, tmp_path, caplog, body
):
    (mirrored / "ro/alta.txt").write_bytes(body)
    assert fetch(tmp_path) == 3
    assert "ro/alta.txt: expected" in caplog.text
    assert not (tmp_path / "raw" / "manifest.json").exists()
    assert not (tmp_path / "raw" / pin(FILES["ro/alta.txt"])).exists()


def test_a_file_that_is_nowhere_is_refused_and_every_address_is_told(mirrored, tmp_path, caplog):
    (mirrored / "ro/alta.txt").unlink()
    assert fetch(tmp_path) == 4
    assert f"{ADDRESS}ro/alta.txt: HTTP 404" in caplog.text
    assert str(mirrored / "ro/alta.txt") in caplog.text
    assert not (tmp_path / "raw" / "manifest.json").exists()


def test_an_unknown_collection_is_refused(mirrored, tmp_path, caplog):
    assert fetch(tmp_path, "absent") == 2
    assert "no collection 'absent'; there are: made_up" in caplog.text


def test_a_malformed_table_is_refused_before_anything_is_fetched(mirrored, tmp_path, caplog):
    declare(tmp_path / "registry", write_table(FILES) + "a.txt\t12\n")
    assert fetch(tmp_path) == 2
    assert "made_up.tsv:4: expected path, SHA-256 and bytes" in caplog.text
    assert not (tmp_path / "raw").exists()
