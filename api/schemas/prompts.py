"""Bodies of prompts: their versions, what differs between two, and which one answers."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from api.schemas.common import Body, CleanText, Line, Out, Time
from memory.models import GLOBAL_TENANT
from tools.prompts.checking import LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_NOTE, PARTS, PromptTexts

Name = Annotated[Line, StringConstraints(max_length=LONGEST_NAME)]
Description = Annotated[CleanText, StringConstraints(max_length=LONGEST_DESCRIPTION)]
Note = Annotated[CleanText, StringConstraints(max_length=LONGEST_NOTE)]
SystemPrompt = Annotated[
    CleanText, StringConstraints(min_length=1, max_length=PARTS["system_prompt"].longest),
    Field(description="persona and manner; no placeholders"),
]  # fmt: skip
ContextTemplate = Annotated[
    CleanText, StringConstraints(min_length=1, max_length=PARTS["context_template"].longest),
    Field(description="holds `{context}` once"),
]  # fmt: skip
TaskTemplate = Annotated[
    CleanText, StringConstraints(min_length=1, max_length=PARTS["task_template"].longest),
    Field(description="holds `{content}` once; `{subject}` and `{department}` where they are wanted"),
]  # fmt: skip


class PromptIn(Body):
    name: Name
    description: Description = ""
    system_prompt: SystemPrompt
    context_template: ContextTemplate
    task_template: TaskTemplate

    @property
    def texts(self) -> PromptTexts:
        return PromptTexts(
            system_prompt=self.system_prompt, context_template=self.context_template, task_template=self.task_template
        )


class PromptEdit(Body):
    """What is left out stays as it is in the version that is edited."""

    description: Description | None = None
    system_prompt: SystemPrompt | None = None
    context_template: ContextTemplate | None = None
    task_template: TaskTemplate | None = None
    note: Note = Field(default="", description="what this version changes")

    @model_validator(mode="after")
    def _no_empty_values(self) -> "PromptEdit":
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("null is not a value of this field")
        return self

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True, exclude={"note"})


class DuplicateIn(Body):
    name: Name | None = Field(default=None, description="default: the same name, with a number where it is taken")


class ActivateIn(Body):
    instead_of: UUID | None = Field(
        default=None, description="the version that answers now, as you read it; 409 where another one does"
    )


class PromptOut(Out):
    """One version of a prompt."""

    id: UUID
    name: str
    description: str
    version: int
    versions: int = Field(description="number of the newest version")
    is_global: bool
    is_active: bool = Field(description="your tenant has chosen this version; of a global one: it is the default")
    in_force: bool = Field(description="it answers now: your active version, or else the default")
    active_version: int | None = Field(description="which version of this prompt is active, if any")
    system_prompt: str
    context_template: str
    task_template: str
    note: str
    based_on: UUID | None
    created_by: UUID | None
    created_at: Time

    @classmethod
    def of(cls, row: dict[str, Any]) -> "PromptOut":
        """Who wrote a global prompt is nobody's business."""
        shown = cls.model_validate(row)
        return shown.model_copy(update={"created_by": None}) if row["tenant_id"] == GLOBAL_TENANT else shown


class PromptDiffOut(Out):
    """From `before` to `after`; empty where nothing differs."""

    before: UUID
    after: UUID
    parts: dict[str, str] = Field(description="a unified diff of each part that differs")
    unified: str
    added: int = Field(description="lines")
    removed: int
