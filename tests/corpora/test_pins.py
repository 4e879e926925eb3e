"""Pins: bytes are what was recorded, and what nobody had recorded is recorded once."""

import hashlib

import pytest

from distilro.corpora.pins import Pin, Pins
from distilro.corpora.registry import Pinned
from distilro.errors import IntegrityError

BODY = b"un fisier"
PINNED = Pinned(name="a.txt", bytes=len(BODY), sha256=hashlib.sha256(BODY).hexdigest())
UNSEEN = Pinned(name="a.txt", unverified=True)


def test_the_recorded_bytes_are_accepted_and_hold(tmp_path):
    (tmp_path / "a.txt").write_bytes(BODY)
    pins = Pins(tmp_path, "made_up")
    assert pins.accept(PINNED, tmp_path / "a.txt") == Pin(len(BODY), PINNED.sha256)
    assert pins.holds(PINNED, tmp_path / "a.txt")
    assert not pins.holds(PINNED, tmp_path / "b.txt")
    assert not pins.lock.exists()


@pytest.mark.parametrize(
    ("body", "complaint"), [(BODY + b"!", "9 bytes, got 10"), (BODY[::-1], "expected sha256")]
)
def test_other_bytes_are_refused_with_both_sides(tmp_path, body, complaint):
    (tmp_path / "a.txt").write_bytes(body)
    with pytest.raises(IntegrityError, match=complaint):
        Pins(tmp_path, "made_up").accept(PINNED, tmp_path / "a.txt")
    assert not Pins(tmp_path, "made_up").holds(PINNED, tmp_path / "a.txt")


def test_an_unseen_file_is_recorded_once_and_must_then_stay_the_same(tmp_path):
    (tmp_path / "a.txt").write_bytes(BODY)
    first = Pins(tmp_path, "made_up")
    assert first.find(UNSEEN) is None
    first.accept(UNSEEN, tmp_path / "a.txt")
    assert first.lock.name == "made_up.lock.json"
    (tmp_path / "a.txt").write_bytes(BODY[::-1])
    with pytest.raises(IntegrityError, match="expected sha256"):
        Pins(tmp_path, "made_up").accept(UNSEEN, tmp_path / "a.txt")
