"""Fetching a made-up dataset from a folder, a server, an archive and the repository itself."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from distilro.corpora.downloads import Retries
from distilro.corpora.fetch import Fetcher, fetch_dataset, read_manifest, write_manifest
from distilro.corpora.registry import Dataset
from distilro.errors import DataError, IntegrityError
from tests.corpora.hostile_server import BODY, serve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
URL = f"http://mirrored.example/{COMMIT}/with%20space/rows+1.tsv"


def pin(body: bytes = BODY) -> dict:
    return {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def remote(**changes: object) -> dict:
    return {"name": "samples.tsv", "urls": [URL], **pin(), **changes}


def declare(*sources: dict) -> Dataset:
    values = {
        "name": "made_up",
        "title": "Made up",
        "task": "emotion",
        "language": "ro",
        "licence": "CC0",
        "citation": "none",
        "reader": "labelled_table",
        "splits": {"train": 1},
        "label_map": {"joy": {"labels": ["joy"]}},
        "sources": list(sources) or [{"kind": "files", "files": [remote()]}],
    }
    return Dataset.model_validate(values)


@pytest.fixture
def fetcher(tmp_path) -> Fetcher:
    mirrored = tmp_path / "mirror" / "mirrored.example" / COMMIT / "with space"
    mirrored.mkdir(parents=True)
    (mirrored / "rows+1.tsv").write_bytes(BODY)
    (tmp_path / "registry").mkdir()
    retries = Retries(attempts=2, first_delay_seconds=0.001, timeout_seconds=1)
    return Fetcher(tmp_path / "registry", tmp_path / "raw", str(tmp_path / "mirror"), retries)


def spoil(fetcher: Fetcher, body: bytes) -> None:
    path = Path(fetcher.mirror) / "mirrored.example" / COMMIT / "with space" / "rows+1.tsv"
    path.write_bytes(body)


def forget_mirror(fetcher: Fetcher) -> Fetcher:
    return Fetcher(fetcher.registry, fetcher.folder, None, fetcher.retries)


def test_a_mirror_folder_gives_the_file_and_the_manifest_says_what_lies_there(fetcher, tmp_path):
    manifest = fetch_dataset(declare(), fetcher)
    write_manifest(tmp_path / "raw" / "manifest.json", manifest)
    assert (fetcher.folder / "samples.tsv").read_bytes() == BODY
    read = read_manifest(tmp_path / "raw" / "manifest.json", declare())
    assert read == manifest
    assert (read.source, read.reader) == ("files", "labelled_table")
    assert "mirror" not in (tmp_path / "raw" / "manifest.json").read_text(encoding="utf-8")


def test_a_mirror_may_be_a_base_url(fetcher):
    with serve() as server:
        over_http = Fetcher(fetcher.registry, fetcher.folder, server.url("good"), fetcher.retries)
        fetch_dataset(declare(), over_http)
        assert server.requests == {"good": 1}
    assert (fetcher.folder / "samples.tsv").read_bytes() == BODY


def test_a_file_that_is_already_right_is_kept_without_any_source(fetcher):
    fetch_dataset(declare(), fetcher)
    before = (fetcher.folder / "samples.tsv").stat().st_mtime_ns
    fetch_dataset(declare(), forget_mirror(fetcher))
    assert (fetcher.folder / "samples.tsv").stat().st_mtime_ns == before


@pytest.mark.parametrize("body", [b"", BODY[:-1], BODY[:-1] + b"?"])
def test_a_file_that_was_damaged_is_fetched_again(fetcher, body):
    fetch_dataset(declare(), fetcher)
    (fetcher.folder / "samples.tsv").write_bytes(body)
    fetch_dataset(declare(), fetcher)
    assert (fetcher.folder / "samples.tsv").read_bytes() == BODY


def test_an_upstream_change_is_never_accepted_and_shows_both_sums(fetcher):
    changed = BODY[::-1]
    spoil(fetcher, changed)
    only_mirror = declare()
    with pytest.raises(IntegrityError) as caught:
        fetch_dataset(only_mirror, fetcher)
    assert pin()["sha256"] in str(caught.value)
    assert pin(changed)["sha256"] in str(caught.value)
    assert list(fetcher.folder.iterdir()) == []


def test_what_a_killed_run_left_is_swept(fetcher):
    fetcher.folder.mkdir()
    (fetcher.folder / ".writing-abc.tsv").write_bytes(b"half")
    fetch_dataset(declare(), fetcher)
    assert [path.name for path in fetcher.folder.iterdir()] == ["samples.tsv"]


def test_an_archive_leaves_its_checked_member_only(fetcher):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("deep/rows.tsv")
        info.size = len(BODY)
        archive.addfile(info, io.BytesIO(BODY))
    spoil(fetcher, buffer.getvalue())
    member = {"name": "samples.tsv", "path": "deep/rows.tsv", **pin()}
    archived = {"format": "tar", "members": [member], "max_bytes": 10_000}
    packed = remote(name="rows.tar.gz", archive=archived, **pin(buffer.getvalue()))
    dataset = declare({"kind": "files", "files": [packed]})
    assert sorted(fetch_dataset(dataset, fetcher).files) == ["samples.tsv"]
    assert [path.name for path in fetcher.folder.iterdir()] == ["samples.tsv"]
    # A member cut short later is noticed and taken out again, though the archive is fine.
    (fetcher.folder / "samples.tsv").write_bytes(BODY[:9])
    fetch_dataset(dataset, fetcher)
    assert (fetcher.folder / "samples.tsv").read_bytes() == BODY


def test_a_file_of_this_repository_is_copied_and_checked(fetcher, tmp_path):
    (tmp_path / "embedded.tsv").write_bytes(BODY)
    local = {"name": "samples.tsv", "path": "../embedded.tsv", **pin()}
    dataset = declare({"kind": "repository", "files": [local]})
    assert fetch_dataset(dataset, fetcher).source == "repository"
    (tmp_path / "embedded.tsv").write_bytes(BODY + b"edited")
    with pytest.raises(IntegrityError, match="correct its sums"):
        fetch_dataset(dataset, fetcher)


@pytest.mark.parametrize("path", ["../../outside.tsv", "/etc/hostname", "../absent.tsv"])
def test_a_file_outside_the_repository_or_absent_is_refused(fetcher, path):
    local = {"name": "samples.tsv", "path": path, **pin()}
    with pytest.raises(DataError):
        fetch_dataset(declare({"kind": "repository", "files": [local]}), fetcher)


def test_the_next_source_is_used_when_the_first_does_not_work(fetcher, tmp_path):
    (tmp_path / "embedded.tsv").write_bytes(BODY)
    absent = {"name": "a.tsv", "path": "../absent.tsv", **pin()}
    local = {"name": "samples.tsv", "path": "../embedded.tsv", **pin()}
    first = {"kind": "repository", "files": [absent]}
    second = {"kind": "repository", "files": [local], "reader": "exported_rows"}
    manifest = fetch_dataset(declare(first, second), fetcher)
    assert manifest.reader == "exported_rows"
    with pytest.raises(DataError, match=r"No source of made_up worked:(.|\n)*absent(.|\n)*absent"):
        fetch_dataset(declare(first, first), fetcher)


def test_an_unverified_file_is_recorded_in_a_lock_and_checked_from_then_on(fetcher, caplog):
    unseen = {"name": "samples.tsv", "urls": [URL], "unverified": True}
    dataset = declare({"kind": "files", "files": [unseen]})
    fetch_dataset(dataset, fetcher)
    assert "Accepted as it came" in caplog.text
    assert (fetcher.registry / "made_up.lock.json").exists()
    (fetcher.folder / "samples.tsv").unlink()
    spoil(fetcher, BODY[::-1])
    with pytest.raises(IntegrityError, match="expected sha256"):
        fetch_dataset(dataset, fetcher)


@pytest.mark.parametrize("body", [None, BODY[:-1], BODY[::-1]])
def test_a_file_that_changed_after_its_manifest_is_noticed(fetcher, body):
    manifest = fetch_dataset(declare(), fetcher)
    write_manifest(fetcher.folder / "manifest.json", manifest)
    file = fetcher.folder / "samples.tsv"
    file.unlink() if body is None else file.write_bytes(body)
    with pytest.raises(IntegrityError, match="Run `distilro fetch` again"):
        read_manifest(fetcher.folder / "manifest.json", declare())


def test_a_manifest_of_another_dataset_is_refused(fetcher):
    manifest = fetch_dataset(declare(), fetcher)
    write_manifest(fetcher.folder / "manifest.json", manifest)
    other = declare().model_copy(update={"name": "other"})
    with pytest.raises(IntegrityError, match="expected version 1 of other"):
        read_manifest(fetcher.folder / "manifest.json", other)
