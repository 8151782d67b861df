"""messages of three kinds with a preheader, frozen in the attempt; images for messages"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KIND = sa.Enum("markdown", "html", "plain", name="messagekind", native_enum=False, create_constraint=True, length=20)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for table in ("messages", "attempts"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("kind", KIND, server_default="markdown", nullable=False))
            batch.add_column(sa.Column("preheader", sa.String(250), server_default=sa.text("''"), nullable=False))
    op.create_table(
        "images",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("owner_id", BIG_ID, nullable=False),
        sa.Column("filename", sa.String(length=40), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_images_owner_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("filename", name=op.f("uq_images_filename")),
    )
    op.create_index("ix_images_owner_id_id", "images", ["owner_id", "id"])


def downgrade() -> None:
    op.drop_table("images")
    for table in ("attempts", "messages"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"ck_{table}_messagekind"), type_="check")
            batch.drop_column("preheader")
            batch.drop_column("kind")
