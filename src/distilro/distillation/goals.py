"""The objective of one model's training, put together from what its recipe asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerFast

from distilro.distillation.cell_settings import CellPlaces, CellSettings, Machine
from distilro.distillation.starts import find_start
from distilro.errors import SettingsError
from distilro.modeling.heads import Classifier, load_classifier
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.students import choose_layers
from distilro.training.adversary import Adversary, LanguageTexts
from distilro.training.alignment import Alignment
from distilro.training.epochs import TaskData
from distilro.training.masking import read_vocabulary
from distilro.training.objective import Objective, Targets
from distilro.training.weighting import build_weighting


@dataclass(frozen=True)
class ObjectiveParts:
    """What the objectives of a cell's models have in common."""

    settings: CellSettings
    places: CellPlaces
    machine: Machine
    tokenizer: PreTrainedTokenizerFast

    def __post_init__(self) -> None:
        """Refuse what would stop a training after its first steps.

        Raises:
            SettingsError: an adversary with several processes.
        """
        count = self.machine.workers.count
        if self.settings.recipe.adversary is not None and count > 1:
            raise SettingsError(
                f"training.processes is {count}, but a recipe with an adversary is trained by one "
                "process. Nothing was trained; set it to 1."
            )

    def build(
        self,
        classifier: Classifier,
        data: Sequence[TaskData],
        seed: int,
        targets: RaggedTokens | None,
    ) -> Objective:
        """Return a fresh objective for one stage's training.

        Args:
            classifier: the model before its first step, on the device to compute on.
            data: what it will learn, one part for each task.
            seed: the model's.
            targets: the texts that an adversary is shown without their labels.
        """
        recipe = self.settings.recipe
        weighting = build_weighting(recipe.weighting, self.settings.tasks, recipe.task_weights)
        weighting.module.to(self.machine.device)
        return Objective(
            weighting,
            Targets(recipe.anneal, recipe.temperature, recipe.votes),
            alignment=self._build_alignment(classifier, seed),
            soft=1.0 if recipe.alignment is None else recipe.alignment.soft,
            adversary=self._build_adversary(classifier, data, seed, targets),
        )

    def _build_alignment(self, classifier: Classifier, seed: int) -> Alignment | None:
        settings, start, student = (
            self.settings.recipe.alignment,
            self.settings.start,
            self.settings.recipe.student,
        )
        if settings is None or start is None:
            return None
        teacher = load_classifier(find_start(start, self.places.results, seed)).classifier.encoder
        depth = teacher.config.num_hidden_layers
        return Alignment(
            settings,
            teacher,
            classifier.encoder,
            vocabulary=read_vocabulary(self.tokenizer),
            layers=choose_layers(student.layers if student else depth, depth),
            seed=seed,
        )

    def _build_adversary(
        self,
        classifier: Classifier,
        data: Sequence[TaskData],
        seed: int,
        targets: RaggedTokens | None,
    ) -> Adversary | None:
        recipe, machine = self.settings.recipe, self.machine
        if recipe.adversary is None or targets is None:
            return None
        source = [part.tokens.select(np.flatnonzero(part.source)) for part in data]
        texts = LanguageTexts(
            RaggedTokens.join(source),
            targets,
            pad_id=classifier.encoder.config.pad_token_id or 0,
            packed=machine.packed,
            precision=machine.precision,
        )
        examples = sum(len(part) for part in data)
        return Adversary(
            recipe.adversary,
            texts,
            width=classifier.encoder.config.hidden_size,
            seed=seed,
            first_epoch_steps=-(-examples // self.settings.schedule.batch_examples),
            device=machine.device,
        )
