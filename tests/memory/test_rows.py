from sqlmodel import Field, SQLModel

from memory.rows import to_read


def test_a_row_can_be_read_before_anything_else_was_done_with_its_model() -> None:
    """As in a worker that takes up a turn first of all."""

    class Fresh(SQLModel, table=True):
        id: int = Field(primary_key=True)
        partial: str

    try:
        read = to_read(Fresh, {"id": 3, "partial": "Half an "})
        assert (read.id, read.partial) == (3, "Half an ")
    finally:
        SQLModel.metadata.remove(Fresh.__table__)  # type: ignore[attr-defined]
