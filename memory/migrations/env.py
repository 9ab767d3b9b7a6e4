"""Alembic's entry: runs on the connection that `memory.migrate` hands over, and sees only our own tables."""

from typing import Any

from alembic import context
from sqlmodel import SQLModel

import memory.models  # noqa: F401  fills the metadata

OURS = set(SQLModel.metadata.tables)


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """The libraries' tables are theirs: without this, autogenerate would drop them."""
    return kind != "table" or name in OURS


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_type=True,
    include_name=include_name,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
