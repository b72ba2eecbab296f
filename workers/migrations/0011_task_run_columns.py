from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workers', '0010_history_indexes'),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='taskrun',
            name='error',
            field=models.TextField(db_default='', default='', help_text='The end of the traceback.'),
        ),
        migrations.AddField(
            model_name='taskrun',
            name='job_id',
            field=models.UUIDField(help_text='Its job, if it has one; the row may be gone.', null=True),
        ),
    ]
