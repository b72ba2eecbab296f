# A catalogue of 200,000 rows for the user demo, and an export of it. The records of earlier exports are deleted: the
# finding looks at a whole day, and you want to see what your last edit has changed.
from django.core.management import call_command
from django.db import connection

from mediaapp.models import User
from workers.models import TaskHour, TaskRun

demo = User.objects.get(username="demo")
ITEMS = """
    INSERT INTO mediaapp_catalogueitem (owner_id, external_id, title, creator, category, released_on, price, stock)
    SELECT %s, 'B-' || n, 'The title of the book number ' || n, 'Creator ' || n %% 5003, 'Novel', '1999-05-01', 9.5, 3
    FROM generate_series(1, 200000) AS n ON CONFLICT DO NOTHING"""
with connection.cursor() as cursor:
    cursor.execute(ITEMS, [demo.pk])
for records in (TaskRun, TaskHour):
    records.objects.filter(task__endswith=".export_catalogue").delete()
call_command("export_catalogue", "demo")
