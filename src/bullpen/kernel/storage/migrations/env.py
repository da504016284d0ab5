"""Run by Alembic: migrates on the connection, and in the transaction, that it is handed."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,  # SQLite's, too: the transaction was begun by hand
)
with context.begin_transaction():
    context.run_migrations()
