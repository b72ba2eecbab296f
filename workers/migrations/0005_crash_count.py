"""Renames Job.deaths to crash_count. The column stays as it is, so that an older release goes on with this schema."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workers", "0004_skipped_runs")]

    operations = [
        migrations.AlterField(
            "job",
            "deaths",
            models.PositiveIntegerField(
                db_column="deaths", default=0, help_text="Attempts whose worker died, since the last checkpoint."
            ),
        ),
        migrations.RenameField("job", "deaths", "crash_count"),
    ]
