"""results are found by their delivery: what is deleted with it took a reading of the whole table each"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('results', schema=None) as batch_op:
        batch_op.create_index('ix_results_delivery_id', ['delivery_id'], unique=False)
        batch_op.drop_index('ix_results_deferred')


def downgrade() -> None:
    deferred = sa.text("state = 'deferred'")
    with op.batch_alter_table('results', schema=None) as batch_op:
        batch_op.create_index(
            'ix_results_deferred', ['delivery_id'], unique=False, postgresql_where=deferred, sqlite_where=deferred
        )
        batch_op.drop_index('ix_results_delivery_id')
