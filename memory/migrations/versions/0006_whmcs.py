"""Connections to WHMCS and what was synchronised"""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("what people wrote since would be lost; restore a backup instead")
