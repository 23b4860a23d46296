"""Runs the migrations on the connection that the store hands over; Alembic runs this file itself."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
context.run_migrations()
