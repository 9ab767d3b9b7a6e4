"""Articles written by hand: categories, imports, drafts of new versions"""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("what people wrote since would be lost; restore a backup instead")
