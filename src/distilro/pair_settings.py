"""Which recipe is set beside which, as the stages that weigh a run are told."""

from pydantic import Field

from distilro.sections import Name, Scope, Section


class PairSettings(Section):
    """A recipe and its reference, for one task of both."""

    task: Name = Field(description="The task that both have learned.")
    recipe: Name = Field(description="The recipe that is judged.")
    scope: Scope = Field(description="Its scope: a task or a named set of tasks.")
    reference: Name = Field(description="The recipe that it is judged against.")
    reference_scope: Scope = Field(description="The scope of the reference.")
