"""the blog: a post's language and picture, slugs that it had before, who may edit posts"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("posts", sa.Column("language", sa.String(length=8), server_default="ru", nullable=False))
    op.add_column("posts", sa.Column("image_width", sa.Integer(), nullable=True))
    op.add_column("posts", sa.Column("image_height", sa.Integer(), nullable=True))
    op.add_column("posts", sa.Column("image_alt", sa.String(length=200), server_default=sa.text("''"), nullable=False))
    op.add_column("users", sa.Column("is_editor", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "post_old_slugs",
        sa.Column("slug", sa.String(length=220), nullable=False),
        sa.Column("post_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["post_id"], ["posts.id"], name=op.f("fk_post_old_slugs_post_id_posts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_post_old_slugs")),
    )
    op.create_index(op.f("ix_post_old_slugs_post_id"), "post_old_slugs", ["post_id"])


def downgrade() -> None:
    op.drop_table("post_old_slugs")
    op.drop_column("users", "is_editor")
    for name in ("image_alt", "image_height", "image_width", "language"):
        op.drop_column("posts", name)
