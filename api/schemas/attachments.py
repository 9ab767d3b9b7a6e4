"""Files that people send, as they are told of; their content comes from `GET attachments/{id}` alone."""

from uuid import UUID

from pydantic import Field

from api.schemas.common import Out


class AttachmentOut(Out):
    id: UUID
    name: str = Field(description="made harmless; it ends in what the file is")
    media_type: str = Field(description="found in the content, whatever the sender called it")
    size: int = Field(description="bytes")


FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}},
}
"""An upload's form, for the OpenAPI document."""
