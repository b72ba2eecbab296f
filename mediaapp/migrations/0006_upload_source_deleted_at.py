from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the index is built beside running uploads

    dependencies = [("mediaapp", "0005_open_uploads"), ("workers", "0005_crash_count")]

    operations = [
        migrations.AddField(
            model_name="upload",
            name="source_deleted_at",
            field=models.DateTimeField(
                editable=False,
                help_text="The file as it was sent, and the rejected rows, are gone (retention.py).",
                null=True,
            ),
        ),
        AddIndexConcurrently(
            model_name="upload",
            index=models.Index(
                models.F("created_at"), condition=models.Q(("source_deleted_at", None)), name="upload_with_source"
            ),
        ),
    ]
