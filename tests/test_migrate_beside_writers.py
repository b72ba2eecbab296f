"""The old release works while the new one migrates: a migration queues nobody behind itself for long."""

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.migrations import AddConstraint, AddField, AddIndex, CreateModel, Migration, RunSQL
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models import BooleanField, Index

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"
FIRST = "0007"  # those before are released, and wait as long as it takes
# Sorted: they come from a set, and pytest-xdist wants one order in all its processes.
OURS = [
    migration
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items(), key=lambda item: item[0])
    if app in ("mediaapp", "workers") and name >= FIRST
]


@pytest.mark.parametrize("migration", OURS, ids=str)
def test_no_migration_holds_up_who_writes_to_a_table_that_was_there_before(migration: Migration):
    assert blocking_operations(migration) == []


@pytest.mark.parametrize(
    ("operation", "is_atomic"),
    [
        (AddIndex("job", Index("queue", name="i")), True),
        (AddIndexConcurrently("job", Index("queue", name="i")), True),
        (AddIndex("job", Index("queue", name="i")), False),
        (AddField("job", "is_new", BooleanField(null=True)), True),
        (AddField("job", "is_new", BooleanField(null=True)), False),
    ],
)
def test_one_that_would_is_found(operation: Operation, is_atomic: bool):
    migration = Migration("0099_of_tomorrow", "workers")
    migration.operations, migration.atomic = [operation], is_atomic
    assert blocking_operations(migration) == [operation]


def blocking_operations(migration: Migration) -> list[Operation]:
    """An index is built concurrently, outside a transaction. All else waits LOCK_TIMEOUT for its table, then fails."""
    operations = migration.operations
    made = {operation.name_lower for operation in operations if isinstance(operation, CreateModel)}
    old = [each for each in operations if getattr(each, "model_name_lower", None) not in {None, *made}]
    is_limited = migration.atomic and isinstance(operations[0], RunSQL) and operations[0].sql == LOCK_TIMEOUT
    if is_limited:
        return [each for each in old if isinstance(each, AddIndex | AddConstraint)]
    return [each for each in old if migration.atomic or not isinstance(each, AddIndexConcurrently)]
