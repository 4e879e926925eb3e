"""The command `clean-texts`: a collection's files become passages."""

import re

import pytest

from distilro.artifacts import read_json, write_json
from distilro.cli import main
from distilro.corpora.passages import read_passages
from tests.commands.test_fetch_texts import pin
from tests.corpora.test_collections import declare

FIRST = "Ştiinţa e bună la toate.\nŞi   iarăşi bună.\n\nAl doilea paragraf e aici.\n"
SECOND = "\ufeffștiința e bună la toate și iarăși bună!\r\n\r\nUn paragraf cu totul nou.\r\n"
TEI = (
    '<?xml version="1.0"?>\n{}'
    '<TEI xmlns="http://www.tei-c.org/ns/1.0"><seg>Un text bun aici.</seg></TEI>'
)


def lay_out(tmp_path, files, **declared):
    """Write a registry, files named by their hash and their manifest."""
    declare(tmp_path / "registry", **declared)
    listed = []
    for name, text in files.items():
        body = text if isinstance(text, bytes) else text.encode()
        listed.append({"path": name, "bytes": len(body), "sha256": pin(body)})
        (tmp_path / "raw").mkdir(exist_ok=True)
        (tmp_path / "raw" / pin(body)).write_bytes(body)
    content = {"version": 1, "collection": "made_up", "files": listed}
    write_json(tmp_path / "raw" / "manifest.json", content)


def clean(tmp_path, out="out.parquet"):
    argv = ["clean-texts", "--collection", "made_up", "--registry", str(tmp_path / "registry")]
    argv += ["--manifest", str(tmp_path / "raw" / "manifest.json")]
    return main([*argv, "--out", str(tmp_path / out)])


def test_paragraphs_are_normalised_come_once_and_name_their_file(tmp_path):
    lay_out(tmp_path, {"b.txt": FIRST, "a.txt": SECOND})
    assert clean(tmp_path) == 0
    passages = read_passages(tmp_path / "out.parquet")
    assert passages.text == [
        "Știința e bună la toate. Și iarăși bună. Al doilea paragraf e aici.",
        "Un paragraf cu totul nou.",
    ]
    assert passages.source == ["b.txt", "a.txt"]
    assert (set(passages.language), set(passages.collection)) == ({"ro"}, {"made_up"})


def test_no_passage_is_longer_than_eighty_words(tmp_path):
    lay_out(tmp_path, {"a.txt": " ".join(f"ana{'a' * number}" for number in range(1, 201))})
    clean(tmp_path)
    lengths = [len(text.split()) for text in read_passages(tmp_path / "out.parquet").text]
    assert lengths == [80, 80, 40]


def test_sentences_of_a_list_are_not_joined(tmp_path):
    lay_out(tmp_path, {"a.txt": "Una e aici.\nAlta e dincolo.\nUna e aici.\n"}, cleaner="sentences")
    clean(tmp_path)
    assert read_passages(tmp_path / "out.parquet").text == ["Una e aici.", "Alta e dincolo."]


def test_a_paragraph_of_which_nothing_remains_is_no_passage(tmp_path):
    lay_out(tmp_path, {"a.txt": "&lt;aaaa bbbb cccc dddd&gt;\n\nUn paragraf cu totul nou."})
    clean(tmp_path)
    assert read_passages(tmp_path / "out.parquet").text == ["Un paragraf cu totul nou."]


def test_the_same_files_give_the_same_bytes(tmp_path):
    lay_out(tmp_path, {"a.txt": FIRST, "b.txt": SECOND})
    clean(tmp_path, "one")
    clean(tmp_path, "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize("spoiled", [None, b"", "Ştiinţa e rea la toate.".encode()])
def test_a_file_that_is_gone_or_changed_is_refused_by_name(tmp_path, caplog, spoiled):
    lay_out(tmp_path, {"a.txt": FIRST})
    path = tmp_path / "raw" / pin(FIRST.encode())
    path.unlink() if spoiled is None else path.write_bytes(spoiled)
    assert clean(tmp_path) == 3
    assert "(a.txt): " in caplog.text
    assert "run fetch-texts again" in caplog.text
    assert not (tmp_path / "out.parquet").exists()


def test_a_changed_byte_is_refused(tmp_path, caplog):
    lay_out(tmp_path, {"a.txt": FIRST})
    body = FIRST.encode()
    (tmp_path / "raw" / pin(body)).write_bytes(body[:-1] + b" ")
    assert clean(tmp_path) == 3
    assert f"(a.txt): expected sha256 {pin(body)}" in caplog.text


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path, caplog):
    lay_out(tmp_path, {"a.txt": "Un rand bun.\nŞtiinţa".encode("iso8859-2")})
    assert clean(tmp_path) == 4
    assert "(a.txt): line 2: expected UTF-8" in caplog.text
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (TEI.format("<!DOCTYPE TEI>\n"), "line 2: expected TEI without declarations"),
        (TEI.format("") + "\n<p>", "expected well-formed XML, got .*line 3"),
    ],
)
def test_a_sitting_that_is_not_sound_is_refused_with_file_and_line(tmp_path, caplog, page, told):
    lay_out(tmp_path, {"good.xml": TEI.format(""), "bad.xml": page}, cleaner="tei")
    assert clean(tmp_path) == 4
    assert re.search(rf"\(bad\.xml\): {told}", caplog.text)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("change", [{"version": 2}, {"collection": "other"}])
def test_another_collections_or_versions_manifest_is_refused(tmp_path, caplog, change):
    lay_out(tmp_path, {"a.txt": FIRST})
    path = tmp_path / "raw" / "manifest.json"
    write_json(path, {**read_json(path), **change})
    assert clean(tmp_path) == 3
    assert "expected version 1 of made_up, got" in caplog.text


def test_a_collection_of_which_nothing_is_left_is_refused(tmp_path, caplog):
    lay_out(tmp_path, {"a.txt": "12 34 56\n\nprea scurt"})
    assert clean(tmp_path) == 4
    assert "made_up: nothing was left of 1 files" in caplog.text
    assert not (tmp_path / "out.parquet").exists()
