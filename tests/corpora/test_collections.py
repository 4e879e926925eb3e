"""Collections: what the registry declares of running text, and the tables that pin its files."""

from pathlib import Path

import pytest

from distilro.artifacts import hash_file
from distilro.corpora.cleaning import CLEANERS
from distilro.corpora.collections import (
    Collection,
    CollectionFile,
    list_collections,
    list_files,
    load_collection,
)
from distilro.corpora.downloads import list_addresses
from distilro.corpora.pins import Pin
from distilro.errors import SettingsError

REGISTRY = Path(__file__).resolve().parents[2] / "data" / "registry"
ADDRESS = f"https://texts.example/owner/name/{'0a' * 20}/"
HEADER = "path\tsha256\tbytes\n"
LINE = f"ro/o poveste.txt\t{'ab' * 32}\t12\n"
SAMPLED_FILES = 5
DECLARATION = {
    "name": "made_up",
    "title": "Made up",
    "language": "ro",
    "licence": "CC0 1.0",
    "redistributable": "true",
    "address": ADDRESS,
    "cleaner": "plain",
}


def declare(registry, table=HEADER + LINE, **changes):
    """Write a collection into a registry of its own and return the registry."""
    folder = registry / "texts"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}: {value}\n" for name, value in {**DECLARATION, **changes}.items()]
    (folder / "made_up.yaml").write_text("".join(lines), encoding="utf-8")
    if table is not None:
        content = table if isinstance(table, bytes) else table.encode()
        (folder / "made_up.tsv").write_bytes(content)
    return registry


def read(registry):
    return list_files(registry, load_collection(registry, "made_up"))


def test_a_file_is_its_path_its_quoted_address_and_its_pin(tmp_path):
    assert read(declare(tmp_path)) == [
        CollectionFile("ro/o poveste.txt", f"{ADDRESS}ro/o%20poveste.txt", Pin(12, "ab" * 32))
    ]


def test_files_keep_the_order_of_their_table(tmp_path):
    table = HEADER + "".join(f"{name}\t{'cd' * 32}\t3\n" for name in ("b", "c", "a"))
    assert [file.path for file in read(declare(tmp_path, table))] == ["b", "c", "a"]


@pytest.mark.parametrize("name", list_collections(REGISTRY))
def test_every_declared_collection_is_sound(name):
    collection = load_collection(REGISTRY, name)
    files = list_files(REGISTRY, collection)
    assert isinstance(collection, Collection)
    assert collection.cleaner in CLEANERS
    assert name.endswith(f"_{collection.language}")
    paths = [file.path for file in files]
    assert paths == sorted(set(paths))


@pytest.mark.parametrize("name", list_collections(REGISTRY))
def test_a_sample_of_the_pinned_files_is_in_the_mirror(mirror, name):
    files = list_files(REGISTRY, load_collection(REGISTRY, name))
    for file in files[:: max(1, len(files) // SAMPLED_FILES)]:
        path = Path(list_addresses([file.url], str(mirror))[0])
        assert Pin(path.stat().st_size, hash_file(path)) == file.pin, file.path


def test_every_declaration_has_its_table_and_every_table_its_declaration():
    tables = {path.stem for path in (REGISTRY / "texts").glob("*.tsv")}
    assert tables == set(list_collections(REGISTRY)) != set()


def test_an_unknown_collection_is_refused_and_the_known_ones_are_named(tmp_path):
    with pytest.raises(SettingsError, match="no collection 'absent'; there are: made_up"):
        load_collection(declare(tmp_path), "absent")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "other"}, "expected 'made_up', got 'other'"),
        ({"language": "fr"}, "language"),
        ({"cleaner": "html"}, "cleaner"),
        ({"address": "https://texts.example/owner/name/main/"}, "address"),
        ({"address": ADDRESS.replace("https", "http")}, "address"),
        ({"redistributable": "perhaps"}, "redistributable"),
        ({"license": "CC0"}, "did you mean 'licence'"),
    ],
)
def test_a_declaration_that_is_not_sound_is_refused_with_its_file(tmp_path, changes, told):
    with pytest.raises(SettingsError, match=rf"made_up\.yaml: .*{told}"):
        load_collection(declare(tmp_path, **changes), "made_up")


@pytest.mark.parametrize(
    "line",
    [
        "a.txt\t12\n",
        f"a.txt\t{'ab' * 32}\n",
        f"a.txt\t{'ab' * 32}\t12\t13\n",
        f"a.txt\t{'ab' * 31}\t12\n",
        f"a.txt\t{'xy' * 32}\t12\n",
        f"a.txt\t{'AB' * 32}\t12\n",
        f"a.txt\t{'ab' * 32}\t-1\n",
        f"a.txt\t{'ab' * 32}\t0\n",
        f"a.txt\t{'ab' * 32}\t1.5\n",
        f"a.txt\t{'ab' * 32}\t\N{SUPERSCRIPT TWO}\n",
        f"\t{'ab' * 32}\t12\n",
        f"/a.txt\t{'ab' * 32}\t12\n",
        f"../a.txt\t{'ab' * 32}\t12\n",
        f"ro/../../a.txt\t{'ab' * 32}\t12\n",
        f"ro/..\t{'ab' * 32}\t12\n",
        f"./a.txt\t{'ab' * 32}\t12\n",
        "\n",
    ],
    ids=repr,
)
def test_a_malformed_line_is_refused_with_its_file_and_number(tmp_path, line):
    registry = declare(tmp_path, HEADER + LINE + line + LINE.replace("poveste", "alta"))
    with pytest.raises(SettingsError, match=r"made_up\.tsv:3: expected path, SHA-256 and bytes"):
        read(registry)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (None, "is missing"),
        ("", ":1: expected the columns path, sha256, bytes"),
        (LINE, ":1: expected the columns path, sha256, bytes"),
        (HEADER, "expected one file at least"),
        (HEADER + LINE + LINE, ":3: ro/o poveste.txt stands twice"),
        (HEADER.encode() + b"\xfe", "expected UTF-8"),
    ],
)
def test_a_table_that_is_not_sound_is_refused_with_its_file(tmp_path, table, told):
    with pytest.raises(SettingsError, match=rf"made_up\.tsv.*{told}"):
        read(declare(tmp_path, table))


def test_a_name_with_dots_inside_is_a_path_like_any_other(tmp_path):
    table = HEADER + LINE.replace("o poveste", "a..b/...c/.d")
    assert read(declare(tmp_path, table))[0].path == "ro/a..b/...c/.d.txt"
