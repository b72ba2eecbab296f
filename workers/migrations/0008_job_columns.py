from django.db import migrations, models


# PostgreSQL deletes these rows with their job: an older release, after a rollback, does not know the tables.
CASCADE = """ALTER TABLE {0} ADD CONSTRAINT {0}_{1} FOREIGN KEY ({1}) REFERENCES workers_job (id)
    ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"""
REVERSE = "ALTER TABLE {0} DROP CONSTRAINT {0}_{1}"
KEYS = [("workers_jobattempt", "job_id"), ("workers_selectedjob", "action_id"), ("workers_selectedjob", "job_id")]


class Migration(migrations.Migration):

    dependencies = [
        ('workers', '0007_operations'),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='job',
            name='error',
            field=models.TextField(blank=True, db_default='', default='', help_text='For staff: the exception of the last failure in one line.'),
        ),
        migrations.AddField(
            model_name='job',
            name='error_fingerprint',
            field=models.CharField(blank=True, db_default='', default='', help_text='The same for equal errors of different jobs.', max_length=16),
        ),
        migrations.AddField(
            model_name='job',
            name='request_id',
            field=models.CharField(blank=True, db_default='', default='', help_text='Of the request that created it.', max_length=200),
        ),
        *(migrations.RunSQL(CASCADE.format(*key), REVERSE.format(*key)) for key in KEYS),
    ]
