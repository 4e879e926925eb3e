import pytest

from distilro.artifacts import read_json, write_json
from distilro.delivery.inputs import Source, read_corpora
from distilro.delivery.materials import (
    build_copies,
    build_corpora,
    build_dropped,
    build_labels,
    build_repeats,
    build_texts,
)
from distilro.errors import ExportError
from tests.delivery.runs import write_run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path)


def read(run):
    return read_corpora(run.folder / "registry", sorted(run.folder.glob("prepared/*/summary.json")))


def test_corpora_stand_by_task_romanian_first(run):
    names = [row[0].note for row in build_corpora(read(run)).rows]
    assert names == ["redv2", "carer", "laroseda", "sst2", "moroco_vardial2019", "ag_news_30k"]


def test_a_label_that_nobody_looked_for_is_not_observed_rather_than_absent(run):
    tables = {table.caption.split(":")[0]: table for table in build_labels(read(run))}
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in tables["Carer"].rows}
    assert rows["joy"] == ["not observed"] * 3
    assert rows["sadness"] == ["617", "75", "160"]


def test_a_labels_bar_is_its_share_of_the_splits_rows(run):
    cell = build_labels(read(run))[0].rows[0][1]
    assert cell.share == pytest.approx(int(cell.text) / 1234)


def test_text_statistics_stand_for_every_split(run):
    table = build_texts(read(run))
    assert len(table.rows) == 6 * 3
    assert [cell.text for cell in table.rows[0]] == ["redv2", "3", "17", "21.37"]


def test_a_summary_without_rows_is_refused_by_file_and_key(run):
    path = run.folder / "prepared" / "redv2" / "summary.json"
    summary = read_json(path)
    del summary["splits"]["test"]["rows"]
    write_json(path, summary)
    with pytest.raises(ExportError, match=r"redv2/summary\.json: splits: test: no key 'rows'"):
        build_corpora(read(run))


def test_copies_inside_a_split_and_between_splits_are_told_apart(run):
    audit = Source("audit.json", read_json(run.folder / "mixtures" / "audit.json"))
    assert [cell.text for cell in build_copies(audit).rows[0]][2:] == ["5", "21", "19", "2"]
    assert [cell.text for cell in build_repeats(audit).rows[0]][1:] == ["1", "8", "2"]
    assert len(build_copies(audit).rows) == len(build_repeats(audit).rows) == 1


def test_dropped_rows_have_their_share(run):
    audit = Source("audit.json", read_json(run.folder / "mixtures" / "audit.json"))
    cell = build_dropped(audit).rows[0][2]
    assert (cell.text, cell.share) == ("34", pytest.approx(34 / 1234))
