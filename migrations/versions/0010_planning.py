"""mailings: drafts, a start that can be undone, pasted addresses that were left out"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mailings", sa.Column("is_draft", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("mailings", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.add_column("mailings", sa.Column("was_draft", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("mailings", sa.Column("doubled", sa.Integer(), server_default="0", nullable=False))
    op.add_column("mailings", sa.Column("unknown", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    for name in ("unknown", "doubled", "was_draft", "not_before", "is_draft"):
        op.drop_column("mailings", name)
