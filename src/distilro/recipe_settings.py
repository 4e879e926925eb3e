"""One recipe of params.yaml: a declared way to train one model per task, or one for several tasks.

Every field has a default that adds nothing, so that a recipe says what it is about and no more.
Formulas and sources of the methods stand where they are computed.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from distilro.sections import Count, Name, Positive, Section, Share, Weight

SamplingName = Literal["proportional", "square_root", "annealed", "uniform"]
Language = Literal["ro", "en"]
Stage = dict[Language, Share]
TeacherWeight = Literal["linear"] | Annotated[float, Field(ge=0, le=1)]

# What the linear model and the frequencies know nothing of.
_OF_ENCODERS = ("sampling", "weighting", "task_weights", "encoder", "votes", "adversary")
_OF_ENCODERS += ("init_from", "student", "alignment")


class AdversarySettings(Section):
    """A language critic that the encoder learns to mislead (ADAN, Chen et al. 2018)."""

    target: Stage = Field({"ro": 1.0}, description="Texts that are read without their labels.")
    steps: Count = Field(5, description="Critic steps before each step of the classifier.")
    many_steps: Count = Field(10, description="The same while the critic has to catch up.")
    many_first: Annotated[int, Field(ge=0)] = Field(
        26, description="Steps of the first epoch with many critic steps."
    )
    many_every: Count = Field(500, description="Every so many steps there are many, too.")
    clip: Positive = Field(0.01, description="Bound of the critic's weights.")
    gradient_penalty: Positive | None = Field(
        None, description="Weight of the gradient penalty, in place of the bound."
    )
    weight: Weight = Field(0.01, description="Of the critic's estimate in the loss.")
    learning_rate: Positive = Field(5.0e-4, description="The critic's (Adam).")
    hidden: Count = Field(256, description="Width of the critic's hidden layer.")
    batch_examples: Count = Field(32, description="Texts of each language in a critic's batch.")


class StudentSettings(Section):
    """A smaller encoder, made from a teacher's (DistilBERT, Sanh et al. 2019)."""

    layers: Literal["half"] | Count | tuple[Annotated[int, Field(ge=0)], ...] = Field(
        "half", description="How many of the teacher's layers, or which."
    )
    hidden: Count | None = Field(None, description="Another width of the states; null: as it is.")
    init: Literal["teacher", "random"] = Field(
        "teacher", description="First weights of layers; of another width they are always random."
    )

    @model_validator(mode="after")
    def _refuse_an_init_without_effect(self) -> "StudentSettings":
        if self.hidden is not None and self.init == "random":
            raise ValueError(
                "init has no effect on another width: leave hidden out where the width stays"
            )
        return self


class AlignmentSettings(Section):
    """Losses beside labels and answers, for which the teacher reads along; 0 switches one off."""

    soft: Weight = Field(1.0, description="Of labels and teachers' answers together.")
    masked: Weight = Field(0.0, description="Of masked-language modelling.")
    cosine: Weight = Field(0.0, description="Of the angle between the last hidden states.")
    hidden: Weight = Field(0.0, description="Of the distance of hidden states, layer by layer.")


class Recipe(Section):
    """A declared way to train one model per task, or one model for several tasks."""

    kind: Literal["encoder", "linear", "majority"] = Field(
        "encoder", description="What is trained."
    )
    question: Literal["english", "tasks", "distillation", "size"] | None = Field(
        None, description="The question of the study that it helps to answer."
    )
    reference: Name | None = Field(None, description="The recipe that it is compared with.")
    scope: Literal["task", "all", "pairs"] = Field(
        "task", description="One model per task, for all of them, or for every two of them."
    )
    tasks: tuple[Name, ...] = Field((), description="Only these tasks; none: every task.")
    stages: tuple[Stage, ...] = Field(
        ({"ro": 1.0},), description="Training sets, one after the other: language -> share."
    )
    without: dict[Name, Language] = Field(
        default_factory=dict, description="Task -> its language that is left out of every stage."
    )
    redraw: bool = Field(
        False, description="Each stage draws its shares anew; false: parts of the stage before."
    )
    keep_optimiser: bool = Field(
        False, description="Stages go on with the optimiser's state; false: each with a new one."
    )
    selection: Language | None = Field(
        None, description="Language of the validation rows that choose the best epoch."
    )
    sampling: SamplingName | Annotated[float, Field(ge=0, le=1)] = Field(
        "proportional", description="Task sampling: a name, or the exponent of the task sizes."
    )
    weighting: Literal["fixed", "difficulty", "uncertainty"] = Field(
        "fixed", description="How the tasks' losses are weighed."
    )
    task_weights: dict[Name, Positive] = Field(
        default_factory=dict, description="Fixed weights of tasks; 1 where none is given."
    )
    encoder: Name | None = Field(
        None, description="A student encoder to start from; null: the main one."
    )
    teachers: tuple[Name, ...] = Field((), description="Recipes whose logits are learned from.")
    anneal: TeacherWeight | None = Field(
        None, description="Teacher weight: linear falls from 1 to 1/steps; a number is fixed."
    )
    temperature: Positive = Field(1.0, description="Of teachers' and student's answers.")
    ensemble: Literal["mean_probability", "mean_logit", "validation"] = Field(
        "mean_probability", description="How several teachers speak as one."
    )
    teacher_seeds: Literal["same", "all"] = Field(
        "same", description="A teacher's model of the student's seed, or of all its seeds."
    )
    teacher_logits: Literal["in_sample", "out_of_fold"] = Field(
        "in_sample", description="From teachers that saw the rows, or from those that did not."
    )
    votes: Share | None = Field(
        None, description="Weight of the annotators' votes beside the gold labels."
    )
    adversary: AdversarySettings | None = None
    init_from: Name | None = Field(
        None, description="A recipe whose model of the same tasks the training starts from."
    )
    student: StudentSettings | None = None
    alignment: AlignmentSettings | None = None

    def list_stages(self, task: str) -> list[Mapping[str, float]]:
        """Return what a task learns from in each stage: language -> share."""
        left_out = self.without.get(task)
        return [
            {language: share for language, share in stage.items() if language != left_out}
            for stage in self.stages
        ]

    def choose_selection(self, task: str) -> Language:
        """Return the language of a task's validation rows: Romanian where its labels are learned.

        What learns no Romanian label must not be chosen by one, unless the recipe says so.
        """
        learned = any("ro" in stage for stage in self.list_stages(task))
        return self.selection or ("ro" if learned else "en")

    @model_validator(mode="after")
    def _check_parts_fit(self) -> "Recipe":
        if bool(self.teachers) != (self.anneal is not None):
            raise ValueError("teachers and anneal come together: one is set, the other is not")
        if self.kind != "encoder" and (self.scope != "task" or self.teachers):
            raise ValueError(f"a {self.kind} recipe has scope task and no teachers")
        if self.kind != "encoder" and len(self.stages) > 1:
            raise ValueError(
                f"a {self.kind} recipe has one stage: it does not go on from another model"
            )
        if not self.stages or not all(self.stages):
            raise ValueError("stages must hold at least one stage, each with one language or more")
        if len(set(self.tasks)) != len(self.tasks):
            raise ValueError("tasks has a task twice")
        return self

    @model_validator(mode="after")
    def _check_stages(self) -> "Recipe":
        """Refuse what its stages and tasks leave without an effect, or without rows."""
        if self.without and self.scope != "all":
            raise ValueError("without needs scope all; elsewhere the stages say what is learned")
        if self.without and self.adversary is not None:
            raise ValueError("without is not for an adversary, which needs every task's languages")
        for task, language in self.without.items():
            if not any(language in stage for stage in self.stages):
                raise ValueError(f"without leaves out {language} of {task}, which no stage has")
            if not all(self.list_stages(task)):
                raise ValueError(f"without leaves {task} nothing in a stage of {language} alone")
        later = [share for stage in self.stages[1:] for share in stage.values()]
        if self.keep_optimiser and not later:
            raise ValueError("keep_optimiser needs several stages")
        if self.redraw and min(later, default=1.0) == 1.0:
            raise ValueError("redraw needs a stage after the first with a share below 1")
        return self

    @model_validator(mode="after")
    def _refuse_settings_without_effect(self) -> "Recipe":
        """What would change nothing is most likely a mistake."""
        asked = ("temperature", "ensemble", "teacher_seeds", "teacher_logits")
        if not self.teachers and (changed := self._list_changed(asked)):
            raise ValueError(f"{changed[0]} needs teachers")
        if self.kind != "encoder" and (changed := self._list_changed(_OF_ENCODERS)):
            raise ValueError(f"{changed[0]} is for encoders: a {self.kind} recipe does not use it")
        if (self.student is not None or self.alignment is not None) and self.init_from is None:
            raise ValueError("student and alignment need init_from, the model they are made from")
        if self.alignment == AlignmentSettings():
            raise ValueError("alignment needs one weight that is not its default")
        if self.encoder is not None and self.init_from is not None:
            raise ValueError("encoder and init_from are two beginnings: set one of them")
        if self.adversary is not None and not all("en" in stage for stage in self.stages):
            raise ValueError("an adversary tells English from Romanian: every stage needs en")
        if self.weighting != "fixed" and self.scope == "task":
            raise ValueError("weighting needs a scope of several tasks")
        return self

    def _list_changed(self, names: Sequence[str]) -> list[str]:
        """Return the fields among `names` that are not as they are by default."""
        fields = type(self).model_fields
        return [
            n for n in names if getattr(self, n) != fields[n].get_default(call_default_factory=True)
        ]
