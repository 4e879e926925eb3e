from distilro.delivery.inputs import Source
from distilro.delivery.upstream import Need, find_upstream

TASKS = {
    ("single", "emotion"): ["emotion"],
    ("single", "topic"): ["topic"],
    ("multi", "all"): ["emotion", "topic"],
    ("compact", "all"): ["emotion", "topic"],
}


def find(model, **recipes):
    return find_upstream(model, TASKS, Source("settings", recipes))


def test_what_a_student_builds_on_is_followed_to_its_beginning():
    recipes = {"single": {}, "multi": {"teachers": ["single"]}, "compact": {"init_from": "multi"}}
    emotion, topic = ("single", "emotion"), ("single", "topic")
    assert find(("compact", "all"), **recipes) == (
        Need("train", ("multi", "all")),
        Need("train", emotion),
        Need("logits", emotion),
        Need("train", topic),
        Need("logits", topic),
    )
    assert find(emotion, **recipes) == ()


def test_models_of_folds_stand_for_their_teacher_and_bring_what_they_build_on():
    multi = {"teachers": ["single"], "teacher_logits": "out_of_fold"}
    recipes = {"single": {"encoder": "half"}, "multi": multi}
    assert find(("multi", "all"), **recipes) == (
        Need("folds", ("single", "emotion")),
        Need("folds", ("single", "topic")),
        Need("student", "half"),
    )


def test_a_cell_that_stands_on_another_in_two_ways_needs_each_work_once():
    recipes = {"single": {}, "multi": {"teachers": ["single"], "init_from": "single"}}
    needs = find(("multi", "all"), **recipes)
    assert len(needs) == len(set(needs)) == 4
