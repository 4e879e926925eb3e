"""Archives that nobody trusts: what was declared comes out, everything else is refused whole."""

import hashlib
import io
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest

from distilro.corpora.archives import extract_members
from distilro.corpora.pins import Pins
from distilro.corpora.registry import Archive
from distilro.errors import IntegrityError

GOOD = b"un text\n" * 10


def declare(kind: str, body: bytes = GOOD, **changes: object) -> Archive:
    member = {
        "name": "rows.tsv",
        "path": "data/rows.tsv",
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    values = {"format": kind, "members": [member], "max_bytes": 10_000, "max_members": 5}
    return Archive.model_validate({**values, **changes})


def write_zip(path: Path, *entries: tuple[str, bytes, int]) -> None:
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that stands twice
        for name, body, mode in entries:
            info = zipfile.ZipInfo(name)
            info.filename = name  # as it is: the constructor would cut it at a NUL
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, body)


def write_tar(path: Path, *entries: tuple[str, bytes, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, body, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            info.size = len(body) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(body))


def extract(path: Path, archive: Archive) -> list[str]:
    folder = path.parent / "out"
    folder.mkdir()
    try:
        extract_members(path, archive, folder, Pins(path.parent, "made_up"))
    finally:
        left = sorted(item.name for item in folder.iterdir())
        outside = sorted(item.name for item in path.parent.iterdir())
        assert outside == sorted([path.name, "out"])
    return left


def test_only_the_declared_member_of_a_zip_is_written_under_its_declared_name(tmp_path):
    write_zip(tmp_path / "a.zip", ("data/rows.tsv", GOOD, 0o644), ("data/other.tsv", b"x", 0))
    assert extract(tmp_path / "a.zip", declare("zip")) == ["rows.tsv"]
    assert (tmp_path / "out" / "rows.tsv").read_bytes() == GOOD


def test_only_the_declared_member_of_a_tar_is_written_under_its_declared_name(tmp_path):
    entries = [("data", b"", tarfile.DIRTYPE), ("data/rows.tsv", GOOD, tarfile.REGTYPE)]
    write_tar(tmp_path / "a.tar.gz", *entries)
    assert extract(tmp_path / "a.tar.gz", declare("tar")) == ["rows.tsv"]
    assert (tmp_path / "out" / "rows.tsv").read_bytes() == GOOD


BAD_NAMES = ["../x", "/x", "a/../../x", "../out-evil/x", "..\\x", "a\\b", "DATA/rows.tsv"]


@pytest.mark.parametrize("name", [*BAD_NAMES, "a\0b"])
def test_a_zip_with_one_bad_name_is_refused_whole(tmp_path, name):
    write_zip(tmp_path / "a.zip", ("data/rows.tsv", GOOD, 0o644), (name, b"x", 0o644))
    with pytest.raises(IntegrityError, match="nothing was written"):
        extract(tmp_path / "a.zip", declare("zip"))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_tar_with_one_bad_name_is_refused_whole(tmp_path, name):
    entries = [("data/rows.tsv", GOOD, tarfile.REGTYPE), (name, b"x", tarfile.REGTYPE)]
    write_tar(tmp_path / "a.tar", *entries)
    with pytest.raises(IntegrityError, match="nothing was written"):
        extract(tmp_path / "a.tar", declare("tar"))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    entries = [("data/rows.tsv", GOOD, tarfile.REGTYPE), ("link", b"", kind)]
    write_tar(tmp_path / "a.tar", *entries)
    with pytest.raises(IntegrityError, match="link or a device"):
        extract(tmp_path / "a.tar", declare("tar"))


def test_a_symbolic_link_in_a_zip_is_refused(tmp_path):
    link = ("link", b"/etc/passwd", stat.S_IFLNK | 0o777)
    write_zip(tmp_path / "a.zip", ("data/rows.tsv", GOOD, 0o644), link)
    with pytest.raises(IntegrityError, match="link or a device"):
        extract(tmp_path / "a.zip", declare("zip"))


def test_a_name_that_stands_twice_is_refused(tmp_path):
    write_zip(tmp_path / "a.zip", ("data/rows.tsv", GOOD, 0), ("data/rows.tsv", b"evil", 0))
    with pytest.raises(IntegrityError, match="stands twice"):
        extract(tmp_path / "a.zip", declare("zip"))


def test_a_bomb_is_refused_by_its_declared_size(tmp_path):
    write_zip(tmp_path / "a.zip", ("data/rows.tsv", b"\0" * 5_000_000, 0o644))
    assert (tmp_path / "a.zip").stat().st_size < 10_000
    with pytest.raises(IntegrityError, match="more than 10000 bytes"):
        extract(tmp_path / "a.zip", declare("zip"))


def test_a_bomb_that_lies_about_its_size_is_stopped_while_it_unpacks(tmp_path):
    write_zip(tmp_path / "a.zip", ("data/rows.tsv", b"\0" * 5_000_000, 0o644))
    data = (tmp_path / "a.zip").read_bytes()
    lying = data.replace((5_000_000).to_bytes(4, "little"), len(GOOD).to_bytes(4, "little"))
    assert lying != data
    (tmp_path / "a.zip").write_bytes(lying)
    with pytest.raises(IntegrityError):
        extract(tmp_path / "a.zip", declare("zip"))
    assert list((tmp_path / "out").iterdir()) == []


def test_too_many_entries_are_refused(tmp_path):
    write_zip(tmp_path / "a.zip", *((f"{number}", b"", 0) for number in range(9)))
    with pytest.raises(IntegrityError, match="5 entries"):
        extract(tmp_path / "a.zip", declare("zip"))


@pytest.mark.parametrize("body", [GOOD[:-1], GOOD[:-1] + b"X", GOOD + b"X"])
def test_a_member_that_is_short_or_edited_is_not_installed(tmp_path, body):
    write_zip(tmp_path / "a.zip", ("data/rows.tsv", body, 0o644))
    with pytest.raises(IntegrityError, match="nothing installed"):
        extract(tmp_path / "a.zip", declare("zip"))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_missing_member_and_a_file_that_is_no_archive_are_named(tmp_path, kind):
    (tmp_path / "a").write_bytes(b"<html>not an archive</html>")
    with pytest.raises(IntegrityError, match="malformed"):
        extract(tmp_path / "a", declare(kind))


def test_a_member_that_is_not_there_is_named(tmp_path):
    write_zip(tmp_path / "a.zip", ("data/else.tsv", GOOD, 0o644))
    with pytest.raises(IntegrityError, match=r"data/rows\.tsv"):
        extract(tmp_path / "a.zip", declare("zip"))
