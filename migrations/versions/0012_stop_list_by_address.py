"""the stop list by address alone: imports look each address up, whatever is known of how many an owner has"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_suppressions_email_normalised", "suppressions", ["email_normalised"])


def downgrade() -> None:
    op.drop_index("ix_suppressions_email_normalised", table_name="suppressions")
