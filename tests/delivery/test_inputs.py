import pytest

from distilro.artifacts import write_json
from distilro.delivery.inputs import Source, read_flow, read_object, read_records
from distilro.errors import DistilroError, ExportError
from tests.delivery.runs import write_run


def test_a_missing_key_is_named_with_its_file_and_its_neighbours(tmp_path):
    write_json(tmp_path / "card.json", {"recipe": "multi"})
    with pytest.raises(ExportError, match=r"card\.json: no key 'seed'.*recipe"):
        read_object(tmp_path / "card.json").get("seed")


def test_a_nested_key_is_named_with_its_whole_path():
    source = Source("audit.json", {"pairs": [{"dataset": "a"}]})
    with pytest.raises(ExportError, match=r"audit\.json: pairs\[0\]: no key 'split'"):
        source.list("pairs")[0].get("split")


@pytest.mark.parametrize("wrong", [[1], 3, None, "text"])
def test_a_value_that_is_no_object_is_refused(wrong):
    with pytest.raises(ExportError, match="expected an object"):
        Source("x.json", {"a": wrong}).open("a")


def test_an_object_in_place_of_a_list_is_refused():
    with pytest.raises(ExportError, match="expected a list, got dict"):
        Source("x.json", {"a": {}}).list("a")


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(DistilroError, match="missing"):
        read_object(tmp_path / "card.json")


def test_records_that_were_never_written_are_empty(tmp_path):
    for folder in (None, tmp_path / "nowhere"):
        records = read_records(folder, folder)
        assert not (records.hardware or records.versions or records.threads or records.timings)


def test_benchmarks_are_summed_by_stage_longest_first(tmp_path):
    run = write_run(tmp_path)
    records = read_records(None, run.folder / "benchmarks")
    assert [(t.stage, t.jobs, t.seconds, t.longest_seconds) for t in records.timings] == [
        ("train", 2, 78.75, 75.25),
        ("matrix", 1, 1.2, 1.2),
    ]


def test_records_give_the_times_where_there_are_no_benchmarks(tmp_path):
    run = write_run(tmp_path)
    records = read_records(run.folder / "records", None)
    assert [(timing.stage, timing.seconds) for timing in records.timings] == [("train", 13.0)]
    assert records.threads == [2]
    assert records.hardware[0]["processor"] == "A processor"


def test_a_torn_benchmark_is_named_by_file_and_line(tmp_path):
    (tmp_path / "train.tsv").write_text("s\th:m:s\n-\t-\n", encoding="utf-8")
    with pytest.raises(ExportError, match=r"train\.tsv:2: expected seconds"):
        read_records(None, tmp_path)


def test_a_flow_has_labels_edges_and_notes(tmp_path):
    nodes = [{"id": "a", "label": "A", "text": "first"}, {"id": "b", "label": "B"}]
    write_json(tmp_path / "flow.json", {"nodes": nodes, "edges": [["a", "b"]]})
    flow = read_flow(tmp_path / "flow.json")
    assert (flow.labels, flow.edges) == ({"a": "A", "b": "B"}, [("a", "b")])
    assert flow.notes["a"] == "first"
