import pytest

from distilro.artifacts import write_json
from distilro.delivery.publication import publish_run
from distilro.errors import ExportError

HARDWARE = {"processor": "A processor", "cores": 2, "memory_gib": 8.0, "gpus": [], "flags": []}


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "laptop"
    folder.mkdir()
    for name in ("matrix.csv", "matrix.svg", "report.html", "matrix.md"):
        (folder / name).write_text(f"content of {name}\n", encoding="utf-8")
    for stage, seconds in (("train", 100.0), ("predict", 20.0)):
        record = {"stage": stage, "name": "x", "seconds": seconds, "threads": 2}
        record |= {"hardware": HARDWARE, "versions": {"distilro": "0.1.0"}}
        write_json(folder / "records" / f"{stage}-x.json", record)
    write_json(folder / "models/multi/all/seed3/card.json", {"seed": 3})
    return folder


def test_the_table_is_published_under_the_name_of_its_machine(results, tmp_path):
    publish_run(results, tmp_path / "out")
    text = (tmp_path / "out/matrix.md").read_text(encoding="utf-8")
    assert "A processor, 2 cores, 8.0 GiB of memory, no GPU" in text
    assert "Seeds: 3." in text
    assert "distilro 0.1.0" in text
    assert text.endswith("content of matrix.md\n")
    for name in ("matrix.csv", "matrix.svg", "report.html"):
        assert (tmp_path / "out" / name).read_bytes() == (results / name).read_bytes()


def test_a_run_that_is_not_finished_is_not_published(results, tmp_path):
    (results / "report.html").unlink()
    with pytest.raises(ExportError, match=r"report\.html not found"):
        publish_run(results, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_on_two_machines_is_not_published(results, tmp_path):
    record = {"stage": "train", "name": "y", "seconds": 1.0, "threads": 2}
    record |= {"hardware": {**HARDWARE, "cores": 4}, "versions": {"distilro": "0.1.0"}}
    write_json(results / "records/train-y.json", record)
    with pytest.raises(ExportError, match="one machine, got 2"):
        publish_run(results, tmp_path / "out")
