from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workers', '0010_history_indexes'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='job',
            index=models.Index(models.F('queued_at'), condition=models.Q(('state', 'needs_mapping')), name='job_needs_mapping'),
        ),
    ]
