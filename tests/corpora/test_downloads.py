"""Downloads against a server with every bad habit: installed and right, or absent and explained."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.corpora.downloads import Retries, download, list_addresses
from distilro.errors import DataError, IntegrityError, SettingsError
from tests.corpora.hostile_server import BODY, HostileServer, serve

QUICK = Retries(attempts=3, first_delay_seconds=0.001, timeout_seconds=5)


@pytest.fixture(scope="module")
def server():
    with serve() as running:
        yield running


@pytest.fixture(autouse=True)
def _forget_requests(server: HostileServer):
    server.requests.clear()


def check(path: Path) -> None:
    if path.read_bytes() != BODY:
        raise IntegrityError(f"expected {len(BODY)} bytes, got {path.stat().st_size}")


def fetch(addresses: list[str], folder: Path, retries: Retries = QUICK) -> bytes:
    target = folder / "file.tsv"
    download(addresses, target, check, limit_bytes=len(BODY), retries=retries)
    return target.read_bytes()


@pytest.mark.parametrize("habit", ["good", "tired", "near"])
def test_a_file_comes_through_an_error_that_passes_and_a_plain_redirect(server, tmp_path, habit):
    assert fetch([server.url(habit)], tmp_path) == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["file.tsv"]


@pytest.mark.parametrize(
    ("habit", "kind", "tries", "reason"),
    [
        ("absent", DataError, 1, "HTTP 404"),
        ("broken", DataError, 3, "HTTP 500"),
        ("cut", DataError, 3, f"got 100 of {len(BODY)} bytes"),
        ("page", IntegrityError, 1, f"expected {len(BODY)} bytes, got 27"),
        ("other", IntegrityError, 1, "expected"),
        ("endless", IntegrityError, 1, "got more"),
        ("short", IntegrityError, 1, "expected"),
        ("elsewhere", DataError, 1, "file:///etc/hostname"),
        ("abroad", DataError, 1, "refused a redirect to ftp://example.org/file"),
    ],
)
def test_a_bad_answer_leaves_nothing_and_is_explained(server, tmp_path, habit, kind, tries, reason):
    with pytest.raises(kind) as caught:
        fetch([server.url(habit)], tmp_path)
    assert reason in str(caught.value)
    assert server.url(habit) in str(caught.value)
    assert "nothing was installed" in str(caught.value)
    assert server.requests[habit] == tries
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_keeps_the_file_that_was_there(server, tmp_path):
    (tmp_path / "file.tsv").write_bytes(b"before")
    with pytest.raises(IntegrityError):
        fetch([server.url("page")], tmp_path)
    assert (tmp_path / "file.tsv").read_bytes() == b"before"


def test_the_next_address_is_tried_in_order(server, tmp_path):
    addresses = [str(tmp_path / "no-mirror"), server.url("absent"), server.url("good")]
    assert fetch(addresses, tmp_path) == BODY
    assert server.requests == {"absent": 1, "good": 1}


def test_the_last_error_lists_every_address_with_its_reason(server, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/file"
    addresses = [str(tmp_path / "gone"), server.url("absent"), server.url("slow"), nobody]
    with pytest.raises(DataError) as caught:
        fetch(addresses, tmp_path, Retries(2, 0.001, timeout_seconds=0.3))
    lines = str(caught.value).splitlines()
    for address, reason in zip(
        addresses, ["no such file", "HTTP 404", "timed out", "refused"], strict=True
    ):
        assert any(address in line and reason in line.casefold() for line in lines if line) or any(
            address in line and reason in line for line in lines
        ), (address, reason, lines)


def test_other_schemes_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="ftp"):
        fetch(["ftp://example.org/file"], tmp_path)


def test_a_mirror_is_a_folder_or_a_base_url_laid_out_by_host():
    urls = ["https://a.org/x%20y/b+c.txt"]
    assert list_addresses(urls, None) == urls
    assert list_addresses(urls, "/m/") == ["/m/a.org/x y/b+c.txt", *urls]
    assert list_addresses(urls, "file:///m") == ["/m/a.org/x y/b+c.txt", *urls]
    assert list_addresses(urls, "http://m:1/base/") == [
        "http://m:1/base/a.org/x%20y/b+c.txt",
        *urls,
    ]


@given(st.binary(max_size=2000))
def test_bytes_from_a_folder_arrive_unchanged(tmp_path_factory, body):
    folder = tmp_path_factory.mktemp("mirror")
    (folder / "source").write_bytes(body)
    download([str(folder / "source")], folder / "target", lambda _path: None)
    assert (folder / "target").read_bytes() == body
