"""Prompts with a library and a history, replays of a candidate, and ranking with reasons"""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("what people wrote since would be lost; restore a backup instead")
