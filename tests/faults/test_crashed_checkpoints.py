"""Checkpoints of a process that is killed before any one of its writes."""

from dataclasses import replace

import torch

from distilro.artifacts import hash_json
from distilro.training.batches import BatchLimits
from distilro.training.checkpoints import Checkpoints, Moment
from distilro.training.engine import Goal, train_classifier
from tests.faults.crash import crash_everywhere
from tests.training import test_engine
from tests.training.test_engine import (
    BagOfWords,
    make_data,
    make_objective,
    make_teacher,
    measure_accuracy,
)

TOPIC = make_data("topic", rows=9)
DATA = [replace(TOPIC, teacher=make_teacher(TOPIC)), make_data("emotion", rows=5)]
SETTINGS = replace(
    test_engine.SETTINGS,
    epochs=2,
    limits=BatchLimits(8, 64),
    sampling="annealed",
)


class RecordedCheckpoints(Checkpoints):
    """Checkpoints that also note what they were given, by the number of steps done."""

    def __init__(self, folder):
        super().__init__(folder, "one", seconds=0)
        self.saved = {}

    def save(self, moment):
        super().save(moment)
        self.saved.setdefault(moment.step, []).append(hash_moment(moment))


def hash_moment(moment):
    tensors = {name: tensor.tolist() for name, tensor in moment.tensors.items()}
    return hash_json([moment.step, tensors, dict(moment.values)])


def open_checkpoints(folder):
    return Checkpoints(folder / "kept", "one", seconds=0)


def train(checkpoints):
    """Train from where the checkpoints are; return all that the training left behind."""
    classifier = BagOfWords()
    training = train_classifier(
        classifier,
        DATA,
        SETTINGS,
        Goal(measure_accuracy(DATA[0]), make_objective("linear")),
        checkpoints=checkpoints,
    )
    weights = torch.cat([p.detach().reshape(-1) for p in classifier.parameters()])
    return weights.numpy().tobytes(), replace(training, seconds=0.0)


def make_moment(step):
    return Moment(step, {"weight": torch.full((3,), float(step))}, {"threads": 1})


def test_a_training_killed_at_any_write_goes_on_to_the_weights_of_one_that_never_was(tmp_path):
    recorded = RecordedCheckpoints(tmp_path / "whole")
    expected = train(recorded)
    steps = []
    for folder in crash_everywhere(tmp_path, lambda folder: train(open_checkpoints(folder))):
        moment = open_checkpoints(folder).load()
        steps.append(moment.step if moment else 0)
        if moment:
            assert hash_moment(moment) in recorded.saved[moment.step]
        assert train(open_checkpoints(folder)) == expected, folder.name
    # Killed later it had come further, and no step's checkpoint was passed over.
    assert steps == sorted(steps)
    assert set(steps) == set(range(expected[1].steps + 1))


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before_or_the_new_one(tmp_path):
    found = []
    for folder in crash_everywhere(
        tmp_path,
        body=lambda folder: open_checkpoints(folder).save(make_moment(2)),
        prepare=lambda folder: open_checkpoints(folder).save(make_moment(1)),
    ):
        moment = open_checkpoints(folder).load()
        assert hash_moment(moment) == hash_moment(make_moment(moment.step))
        found.append(moment.step)
    assert found == sorted(found)
    assert set(found) == {1, 2}


def test_a_checkpoint_may_be_written_again_over_itself(tmp_path):
    """The result of a training has as many steps as its last checkpoint, and other tensors."""
    for folder in crash_everywhere(
        tmp_path,
        body=lambda folder: open_checkpoints(folder).save(make_moment(1)),
        prepare=lambda folder: open_checkpoints(folder).save(
            replace(make_moment(1), tensors={"other": torch.zeros(5)})
        ),
    ):
        assert set(open_checkpoints(folder).load().tensors) in ({"weight"}, {"other"})
    assert set(open_checkpoints(folder).load().tensors) == {"weight"}


def test_what_a_kill_leaves_behind_is_gone_once_the_checkpoints_are_cleared(tmp_path):
    for folder in crash_everywhere(
        tmp_path,
        body=lambda folder: open_checkpoints(folder).save(make_moment(2)),
        prepare=lambda folder: open_checkpoints(folder).save(make_moment(1)),
    ):
        open_checkpoints(folder).clear()
        assert not (folder / "kept").exists()


def test_a_kill_while_checkpoints_are_cleared_leaves_a_whole_one_or_none(tmp_path):
    found = []
    for folder in crash_everywhere(
        tmp_path,
        body=lambda folder: open_checkpoints(folder).clear(),
        prepare=lambda folder: open_checkpoints(folder).save(make_moment(1)),
    ):
        moment = open_checkpoints(folder).load()
        found.append(moment.step if moment else None)
        open_checkpoints(folder).clear()
        assert not (folder / "kept").exists()
    assert found[0] == 1
    assert found[-1] is None
