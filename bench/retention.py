"""How fast the clean-ups delete, against what 10,000 uploads a day leave behind.

Rows as they are after the retention: uploads with rejected rows, expired sessions, runs of tasks.
"""

import time
from collections.abc import Callable, Iterator

from django.contrib.sessions.backends.db import SessionStore
from django.db import connection

from bench.rows import Row
from mediaapp import retention
from mediaapp.models import User
from workers.models import Job, RejectedRow

UPLOADS, REJECTED, SESSIONS = 2_000, 200, 20_000
UPLOADS_PER_DAY, DAY_SECONDS = 10_000, 86_400
RUN_SECONDS, RUNS_PER_DAY = 30, 144
FILL = """
    WITH job AS (
        INSERT INTO workers_job (id, owner_id, task, queue, arguments, state, message, detail, result, checkpoint,
            attempt, deaths, worker, created_at, queued_at, finished_at)
        SELECT gen_random_uuid(), %(owner)s, 'workers.highmem.tasks.import_catalogue', 'imports', '{}', 'done', '', '',
            '{}', '{}', 1, 0, '', moment, moment, moment
        FROM (SELECT now() - interval '40 days' AS moment FROM generate_series(1, %(uploads)s)) AS old
        RETURNING id, created_at
    ), upload AS (
        INSERT INTO mediaapp_upload (job_id, owner_id, kind, name, file, size, created_at)
        SELECT id, %(owner)s, 'csv', 'books.csv', 'uploads/' || id || '/source', 1000, created_at FROM job
    )
    INSERT INTO workers_rejectedrow (job_id, line, reason, cells)
    SELECT id, line, 'price: "nothing" is not a number', '["A1", "Some title of a usual length", "books", "nothing"]'
    FROM job CROSS JOIN generate_series(1, %(rejected)s) AS line"""
FILL_SESSIONS = """
    INSERT INTO django_session (session_key, session_data, expire_date)
    SELECT 'expired' || n, %(data)s, now() - interval '1 day' FROM generate_series(1, %(sessions)s) AS n"""


def measure(*, quick: bool) -> Iterator[Row]:
    """The share of its own time that delete_old needs, at 10,000 uploads a day with REJECTED rejected rows each."""
    uploads, sessions = (10, 10) if quick else (UPLOADS, SESSIONS)
    owner = User.objects.create_user("retained", "retained@example.com", "never typed")
    values: dict[str, int | str] = {"owner": owner.pk, "uploads": uploads, "rejected": REJECTED, "sessions": sessions}
    values["data"] = SessionStore().encode({"_auth_user_id": str(owner.pk)})
    with connection.cursor() as cursor:
        cursor.execute(FILL, values)
        cursor.execute(FILL_SESSIONS, values)
    seconds = seconds_of(retention.delete_old_sources) / uploads
    share = seconds * UPLOADS_PER_DAY / (RUN_SECONDS * RUNS_PER_DAY)
    note = f"{1000 * seconds:.1f} ms an upload; {RejectedRow.objects.count()} rejected rows are left"
    yield Row("sources of a day's 10,000 uploads / time of delete_old", share, at_most=0.25, note=note)
    Job.objects.filter(queue="maintenance").delete()
    yield Row("expired sessions", 1000 * seconds_of(retention.delete_expired_sessions) / sessions, "ms each")


def seconds_of(function: Callable[[], int]) -> float:
    began = time.monotonic()
    while function():
        pass
    return time.monotonic() - began
