import pytest

from distilro.artifacts import read_json, write_json
from distilro.cli import main
from tests.delivery.evidence import write_evidence
from tests.delivery.pages import Page
from tests.delivery.runs import write_run


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run = write_run(folder)
    assert main(run.list_arguments(*write_evidence(folder))) == 0
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def list_sections(page):
    return [values["id"] for tag, values in page.tags if tag == "section"]


def test_a_reader_meets_answer_questions_noise_and_cost_in_this_order(page):
    assert list_sections(page)[:12] == [
        "answer", "matrix", "question-english", "question-tasks", "question-other", "noise",
        "influence", "gaps", "loyalty", "calibration", "robustness", "cost",
    ]  # fmt: skip


def test_every_question_is_answered_from_its_rows_beside_a_table_and_plots(page):
    assert (
        "Of 3 comparisons of a recipe with its reference on a task, 3 came out higher" in page.text
    )
    table = page.tables["Does English data help? Each recipe minus its reference"]
    assert table[1][1] == ("+0.030 ▲", "[+0.010, +0.050]\n0.620 − 0.590")
    pictures = [v["aria-label"] for tag, v in page.tags if tag == "svg" and "aria-label" in v]
    assert pictures.count("emotion: difference in macro F1") == 3


def test_a_row_without_the_seeds_of_a_claim_is_marked(page):
    rows = page.tables["The family: 9 comparisons"]
    (verdict,) = {row[2] for row in rows[1:] if row[0][0] == "annealed (all)"}
    assert verdict == ("▼ lower", "an indication: a claim needs 5 seeds")
    assert "3 are indications, not claims" in page.text


def test_influence_gaps_loyalty_and_calibration_are_told(page):
    assert "smaller in 2 of 2 seeds" in page.text
    assert page.tables["Adding a dataset"][1][1][0] == "+0.020 ▲"
    assert page.tables["Loyalty of students to their teachers"][1][3][0] == "0.900"
    rows = page.tables["Calibration before and after temperature scaling"]
    assert len(rows) == 1 + 9
    pictures = [v["aria-label"] for tag, v in page.tags if tag == "svg" and "aria-label" in v]
    assert "Reliability, emotion" in pictures


def test_the_matrix_keeps_the_rows_as_published_and_robustness_tells_the_rest(page):
    assert [cell[0] for cell in page.tables["emotion"][0]] == [
        "recipe", "Romanian, official", "Romanian, deduplicated", "English, official",
        "English, deduplicated",
    ]  # fmt: skip
    rows = page.tables["emotion, Romanian: official rows, written differently"]
    assert rows[1][2] == ("0.532", "−0.022 from official")


def test_the_ledger_adds_what_records_and_cards_tell(page):
    rows = {(row[0][0], row[0][1]): row for row in page.tables["What each cell cost"]}
    multi = rows["multi", "all"]
    assert [cell[0] for cell in multi[2:4]] == ["2", "12.5 s"]
    assert [cell[0] for cell in multi[7:]] == ["1.31 M", "5.00 M", "31.8 T"]
    assert rows["single_ro", "topic"][3][0] == "–"
    assert "Energy is not estimated" in page.text


def test_a_training_of_which_a_part_was_not_timed_is_said_to_have_no_point(tmp_path):
    run = write_run(tmp_path)
    (path,) = tmp_path.rglob("records/train-multi-all.json")
    write_json(path, {**read_json(path), "resumed": {"seed0-stage0": 30}})
    assert main(run.list_arguments()) == 0
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Of 1 cell the last part of the training alone was timed" in page.text
    rows = {(row[0][0], row[0][1]): row for row in page.tables["What each cell cost"]}
    assert rows["multi", "all"][3] == ("12.5 s", "last part alone")


def test_texts_from_elsewhere_are_set_apart_from_the_tasks_own(tmp_path):
    run = write_run(tmp_path)
    elsewhere = [
        type(score)(**{**vars(score), "test_set": "xed_ro", "value": 0.3})
        for score in run.scores
        if (score.task, score.language, score.variant) == ("emotion", "ro", "official")
    ]
    from distilro.evaluation.scores import write_scores

    write_scores(tmp_path / "matrix.parquet", [*run.scores, *elsewhere])
    assert main(run.list_arguments()) == 0
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    head, first, *_ = page.tables["emotion: Romanian texts from elsewhere"]
    assert [cell[0] for cell in head] == ["recipe", "redv2", "xed_ro"]
    assert first[2][0] == "0.300"
    assert "xed_ro" not in str(page.tables["emotion"])
    assert "0.300" not in page.text[: page.text.index("The matrix")]


def test_a_file_that_was_not_made_is_said_not_to_be(tmp_path):
    run = write_run(tmp_path)
    assert main(run.list_arguments()) == 0
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    for name in ("comparisons", "influence", "gaps", "loyalty", "calibration"):
        assert f"Not made: {name}.json was not given to this page." in text


def test_a_file_of_another_version_stops_the_page(tmp_path, caplog):
    run = write_run(tmp_path)
    arguments = write_evidence(tmp_path)
    (tmp_path / "loyalty.json").write_text('{"version": 2, "rows": []}', encoding="utf-8")
    assert main(run.list_arguments(*arguments)) == 6
    assert "loyalty.json: expected version 1, got 2" in caplog.text
    assert not (tmp_path / "report.html").exists()
