"""events are appended, never changed

The triggers refuse every change but one: an actor who is deleted becomes nobody (ON DELETE SET NULL).
A later migration that copies the table on SQLite (batch_alter_table) has to make them again.
"""

from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

UPDATES = {
    "events_keep": "UPDATE OF id, at, action, subject_type, subject_id, detail, address ON events",
    "events_keep_actor": "UPDATE OF actor_id ON events",
    "events_stay": "DELETE ON events",
}
CONDITIONS = {"events_keep_actor": "WHEN (NEW.actor_id IS NOT NULL)"}
REFUSAL = "events are appended, never changed"


def upgrade() -> None:
    op.create_index('ix_events_actor_id', 'events', ['actor_id'])
    if op.get_bind().dialect.name == 'postgresql':
        op.execute(f"""
            CREATE FUNCTION events_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$
        """)
        body = "EXECUTE FUNCTION events_refuse()"
    else:
        body = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    for name, moment in UPDATES.items():
        op.execute(f"CREATE TRIGGER {name} BEFORE {moment} FOR EACH ROW {CONDITIONS.get(name, '')} {body}")


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == 'postgresql'
    for name in UPDATES:
        op.execute(f"DROP TRIGGER {name}" + (" ON events" if is_postgresql else ""))
    if is_postgresql:
        op.execute("DROP FUNCTION events_refuse()")
    op.drop_index('ix_events_actor_id', 'events')
