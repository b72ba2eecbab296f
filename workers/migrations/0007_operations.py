import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workers', '0006_job_dispatch_number'),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='PracticeState',
            fields=[
                ('number', models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ('ok', models.BooleanField(null=True)),
                ('summary', models.TextField(blank=True)),
                ('reason', models.TextField(blank=True)),
                ('figure', models.FloatField(null=True)),
                ('since', models.DateTimeField(help_text='When `ok` became what it is.')),
                ('measured_at', models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name='queuesample',
            name='finished',
            field=models.BigIntegerField(help_text='Runs that ever ended in it, by TaskTotal.', null=True),
        ),
        migrations.AddField(
            model_name='taskhour',
            name='peak_max',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='taskhour',
            name='wait_max',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='taskhour',
            name='wait_p50',
            field=models.FloatField(null=True),
        ),
        migrations.CreateModel(
            name='Deploy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('release', models.TextField()),
                ('began_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(models.OrderBy(models.F('began_at'), descending=True), name='deploy_newest')],
            },
        ),
        migrations.CreateModel(
            name='FindingSample',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveSmallIntegerField(help_text='Of the practice.')),
                ('taken_at', models.DateTimeField()),
                ('ok', models.BooleanField(null=True)),
                ('figure', models.FloatField(null=True)),
            ],
            options={
                'indexes': [models.Index(models.F('number'), models.OrderBy(models.F('taken_at'), descending=True), name='finding_sample_of_practice')],
            },
        ),
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveSmallIntegerField(help_text='Of the practice.')),
                ('began_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField(help_text='When it was last measured.')),
                ('ended_at', models.DateTimeField(null=True)),
                ('ok', models.BooleanField(help_text='Null: it could not be measured.', null=True)),
                ('summary', models.TextField(blank=True)),
                ('reason', models.TextField(blank=True)),
                ('alerted_at', models.DateTimeField(null=True)),
                ('recovery_sent_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(models.OrderBy(models.F('began_at'), descending=True), name='incident_newest')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('number',), name='one_open_incident')],
            },
        ),
        migrations.CreateModel(
            name='Pause',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('queue', 'Queue'), ('entry', 'Entry')], max_length=5)),
                ('name', models.CharField(max_length=200)),
                ('paused_at', models.DateTimeField(auto_now_add=True)),
                ('paused_by', models.CharField(help_text='A name of an account, which may be gone.', max_length=150)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('kind', 'name'), name='paused_once')],
            },
        ),
        migrations.CreateModel(
            name='QueueHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('queue', models.CharField(max_length=40)),
                ('hour', models.DateTimeField()),
                ('waiting_p50', models.FloatField(null=True)),
                ('waiting_max', models.PositiveIntegerField(null=True)),
                ('oldest_max', models.FloatField(null=True)),
                ('arrived', models.PositiveIntegerField(null=True)),
                ('finished', models.PositiveIntegerField(null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('queue', 'hour'), name='one_hour_per_queue')],
            },
        ),
        migrations.CreateModel(
            name='TaskTotal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('task', models.TextField()),
                ('queue', models.TextField()),
                ('outcomes', models.JSONField(default=dict, help_text='How many runs ended how.')),
                ('run_buckets', models.JSONField(default=dict)),
                ('run_seconds', models.FloatField(default=0)),
                ('wait_buckets', models.JSONField(default=dict)),
                ('wait_seconds', models.FloatField(default=0)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('task', 'queue'), name='one_total_per_task_and_queue')],
            },
        ),
        migrations.CreateModel(
            name='JobAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('worker', models.TextField(blank=True)),
                ('release', models.TextField(blank=True)),
                ('request_id', models.TextField(blank=True, help_text='Of the request that sent its message.')),
                ('started_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('outcome', models.CharField(blank=True, choices=[('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('requeued', 'Requeued'), ('lost', 'Lost')], help_text='Empty while it runs.', max_length=9)),
                ('message', models.TextField(blank=True)),
                ('error', models.TextField(blank=True)),
                ('error_fingerprint', models.CharField(blank=True, max_length=16)),
                ('job', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, db_index=False, related_name='attempts', to='workers.job')),
            ],
            options={
                'indexes': [models.Index(models.F('started_at'), condition=models.Q(('ended_at', None)), name='attempt_running')],
                'constraints': [models.UniqueConstraint(fields=('job', 'number'), name='one_attempt_per_number')],
            },
        ),
        migrations.CreateModel(
            name='SelectedJob',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('action', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, db_index=False, related_name='selected_jobs', to='workers.job')),
                ('job', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workers.job')),
            ],
            options={
                'indexes': [models.Index(models.F('job'), name='selection_of_job')],
                'constraints': [models.UniqueConstraint(fields=('action', 'job'), name='selected_once')],
            },
        ),
    ]
