from django.db import migrations, models


APPEND_ONLY = """
    CREATE FUNCTION mediaapp_refuse_action_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND OLD.at < now() - interval '30 days' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'the action log is append-only: nothing changes an entry, or deletes a young one';
    END $$;
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON mediaapp_actionentry
        FOR EACH ROW EXECUTE FUNCTION mediaapp_refuse_action_change();"""
REVERSE = """
    DROP TRIGGER append_only ON mediaapp_actionentry;
    DROP FUNCTION mediaapp_refuse_action_change();"""


class Migration(migrations.Migration):

    dependencies = [
        ('mediaapp', '0006_upload_source_deleted_at'),
    ]

    operations = [
        migrations.CreateModel(
            name='ActionEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('actor', models.CharField(help_text='The name of an account, which may be gone.', max_length=150)),
                ('action', models.CharField(help_text='A verb and its object, such as pause_queue.', max_length=40)),
                ('target', models.CharField(max_length=200)),
                ('detail', models.TextField(blank=True)),
                ('request_id', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'indexes': [models.Index(models.OrderBy(models.F('at'), descending=True), name='action_newest')],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, REVERSE),
    ]
