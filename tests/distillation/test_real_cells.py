"""Cells on real emotion corpora, in small: teachers teach, and an adversary closes a gap."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.corpora.examples import read_examples, write_examples
from distilro.corpora.mixtures import Draw, build_mixture
from distilro.distillation.logits import read_logits, write_logits
from distilro.distillation.teachers import identify_teacher, name_logits
from distilro.encoder_settings import ScratchSettings
from distilro.modeling.encoders import build_masked_model, save_encoder
from distilro.modeling.features import pool_features
from distilro.modeling.heads import load_classifier
from distilro.modeling.language_gap import measure_gap
from distilro.modeling.tokenization import encode, train_tokenizer
from tests.commands.test_train_linear import SETTINGS as LINEAR
from tests.faults.cells import SETTINGS
from tests.support import build_settings

ROWS = 1000
CHANCE = 0.15  # macro-F1 that is above what any answer without reading gets
SIZES = ScratchSettings(
    vocabulary_size=1500, layers=1, hidden=48, heads=2, intermediate=96, lowercase=True
)
SCHEDULE = {"epochs": 6, "learning_rate": 3e-3, "batch_examples": 16, "batch_tokens": 4096}
BY_LINEAR = {
    "teacher_scopes": {"linear": {"emotion": "emotion"}}, "teacher_seeds": {"linear": [0]},
}  # fmt: skip
COMMON = {"tasks": ["emotion"], "seeds": [0], "max_tokens": 32, "schedule": SCHEDULE}


class RealCells:
    """A folder with subsets of REDv2 and CARER as mixtures, and a small fresh encoder."""

    def __init__(self, folder, prepare_corpus):
        self.folder, self.results = folder, folder / "results"
        self.sets = {}
        for lang, dataset in (("ro", "redv2"), ("en", "carer")):
            prepared = prepare_corpus(dataset)
            for split, path in (
                ("train", self.results / f"mixtures/emotion/{lang}1.parquet"),
                ("valid", folder / f"prepared/{dataset}/valid.parquet"),
            ):
                part = take(read_examples(prepared / f"{split}.parquet"))
                write_examples(path, part)
                self.sets[lang, split] = part
        texts = [*self.sets["ro", "train"].text, *self.sets["en", "train"].text]
        tokenizer = train_tokenizer(texts, SIZES.vocabulary_size, lowercase=True)
        model = build_masked_model(SIZES, tokenizer, 1)
        save_encoder(folder / "encoder", model.base_model, tokenizer, {})

    def list_arguments(self, command, name, settings):
        argv = [command, "--cell", f"{name}/emotion", "--settings", json.dumps(settings)]
        return [
            *argv, "--prepared", str(self.folder / "prepared"), "--results", str(self.results)
        ]  # fmt: skip

    def train(self, name, recipe, dataset, **changes):
        told = {"recipe": recipe, "validation": {"emotion": dataset}}
        settings = {**SETTINGS, **COMMON, **told, **changes}
        argv = self.list_arguments("train", name, settings)
        assert main([*argv, "--encoder", str(self.folder / "encoder")]) == 0
        (seed,) = settings["seeds"]
        return read_json(self.find(name, seed) / "card.json")

    def find(self, name, seed=0):
        return self.results / "models" / name / "emotion" / f"seed{seed}"

    def measure_gap(self, name, seed):
        """Return what a fresh critic finds on validation texts that the model did not learn."""
        scorer = load_classifier(self.find(name, seed))
        features = []
        for lang in ("en", "ro"):
            tokens = encode(scorer.tokenizer, self.sets[lang, "valid"].text, 32)
            features.append(pool_features(scorer.classifier, tokens, pad_id=0).numpy())
        return measure_gap(*features, seed=0)

    def train_linear(self):
        """Train the linear model on English rows, and store its answers for them."""
        linear = {**LINEAR, "tasks": ["emotion"], "validation": {"emotion": "carer"}}
        linear["recipe"] = {"kind": "linear", "stages": [{"en": 1.0}]}
        assert main(self.list_arguments("train-linear", "linear", linear)) == 0
        mixture = self.results / "mixtures/emotion/en1.parquet"
        ask = ["logits", "--cell", "linear/emotion", "--task", "emotion", "--seeds", "0"]
        assert main([*ask, "--mixture", str(mixture), "--results", str(self.results)]) == 0
        return mixture


def take(examples):
    chosen = np.random.default_rng(13).permutation(len(examples))[:ROWS]
    return examples.select(np.sort(chosen))


@pytest.fixture(scope="module")
def cells(prepare_corpus, tmp_path_factory):
    before = torch.get_num_threads()
    yield RealCells(tmp_path_factory.mktemp("real"), prepare_corpus)
    torch.set_num_threads(before)


def test_a_student_of_shuffled_answers_is_worse(cells):
    """The teacher's answers alone are learned, once its own and once those for other rows."""
    mixture = cells.train_linear()
    recipe = {"stages": [{"en": 1.0}], "teachers": ["linear"], "anneal": 1.0}
    taught = cells.train("taught", recipe, "carer", **BY_LINEAR)["valid"]["emotion"]
    examples, teacher = read_examples(mixture), identify_teacher(cells.find("linear"))
    path = name_logits(cells.results, teacher, "emotion-en1")
    logits = read_logits(path, examples=examples, teacher=teacher)
    logits = np.random.default_rng(0).permutation(logits)
    write_logits(path, examples=examples, logits=logits, teacher=teacher)
    fooled = cells.train("fooled", recipe, "carer", **BY_LINEAR)["valid"]["emotion"]
    assert taught > fooled + 0.05


def test_a_teacher_of_weight_0_leaves_the_supervised_model_to_the_bit(cells):
    cells.train_linear()
    alone = cells.train("alone", {"stages": [{"en": 1.0}]}, "carer")
    recipe = {"stages": [{"en": 1.0}], "teachers": ["linear"], "anneal": 0.0}
    unheard = cells.train("unheard", recipe, "carer", **BY_LINEAR)
    assert unheard["weights"] == alone["weights"]


def test_the_last_stage_of_gradual_shows_no_english_row(cells):
    """What the stages of the study's recipe draw from real rows, English ones fewer and fewer."""
    rows = {lang: cells.sets[lang, "train"] for lang in ("ro", "en")}
    english = []
    for stage in build_settings("study").recipes["gradual"].stages:
        draws = {lang: Draw(share) for lang, share in stage.items()}
        mixed, _ = build_mixture(rows, draws, dropped={}, salt="13")
        assert mixed.lang.count("ro") == ROWS
        english.append(mixed.lang.count("en"))
    assert english[0] == ROWS and english[-1] == 0
    assert all(more > fewer for more, fewer in pairwise(english))


def test_an_adversary_leaves_a_smaller_gap_between_the_languages(cells):
    """In the mean of three seeds, of which single ones may differ; all have learned something."""
    critic = {"weight": 0.003, "steps": 1, "many_steps": 3, "many_first": 5, "hidden": 64}
    critic |= {"gradient_penalty": 1.0, "learning_rate": 2e-3}
    gaps = {"zero_shot": [], "adversarial": []}
    for name, added in (("zero_shot", {}), ("adversarial", {"adversary": critic})):
        for seed in range(3):
            recipe = {"stages": [{"en": 1.0}], **added}
            card = cells.train(name, recipe, "carer", seeds=[seed])
            assert card["valid"]["emotion"] > CHANCE
            gaps[name].append(cells.measure_gap(name, seed))
    assert np.mean(gaps["adversarial"]) < 0.8 * np.mean(gaps["zero_shot"]), gaps
