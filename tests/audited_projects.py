"""How three real projects set up Celery: facts about their options, and none of their code.

Each names its repository and commit. Where a task holds a lock, the fact is the name of the lock.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from warnings import catch_warnings

from celery import Celery
from celery.exceptions import CDeprecationWarning
from celery.schedules import crontab

from workers.audit.loading import read_project
from workers.audit.project import Project

HOUR = 3600


@dataclass(frozen=True)
class Facts:
    """tasks: options by name; `body` is the line of Python that stands for what the task does. files: by path."""

    source: str
    conf: Mapping[str, Any]
    tasks: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, str] = field(default_factory=dict)
    caches: Mapping[str, Any] = field(default_factory=dict)


MEDIACMS = Facts(
    source="github.com/mediacms-io/mediacms 90b9fad55bc7e93827956b53822a4b520bf999b9",
    conf={
        "broker_url": "redis://127.0.0.1:6379/1",
        "result_backend": "redis://127.0.0.1:6379/1",
        "broker_transport_options": {"visibility_timeout": 24 * HOUR},
        "worker_prefetch_multiplier": 1,
        "beat_schedule": {
            "clear_sessions": {
                "task": "clear_sessions",
                "schedule": crontab(hour=1, minute=1, day_of_week=6),
            },
            "get_list_of_popular_media": {
                "task": "get_list_of_popular_media",
                "schedule": crontab(minute=1, hour="*/10"),
            },
            "update_listings_thumbnails": {
                "task": "update_listings_thumbnails",
                "schedule": crontab(minute=2, hour="*/30"),
            },
        },
    },
    tasks={
        "chunkize_media": {"queue": "short_tasks", "soft_time_limit": 2 * HOUR},
        "video_trim_task": {"queue": "short_tasks", "soft_time_limit": 600},
        "post_trim_action": {"queue": "short_tasks", "soft_time_limit": 600},
        "media_init": {"queue": "short_tasks"},
        "clear_sessions": {"queue": "short_tasks"},
        "save_user_action": {"queue": "short_tasks"},
        "djcelery_email_send_multiple": {"queue": "short_tasks"},  # CELERY_EMAIL_TASK_CONFIG
        "encode_media": {"queue": "long_tasks", "soft_time_limit": 2 * HOUR},
        "whisper_transcribe": {"queue": "long_tasks", "soft_time_limit": 2 * HOUR},
        "create_hls": {"queue": "long_tasks"},
        "get_list_of_popular_media": {"queue": "long_tasks"},
        "update_listings_thumbnails": {"queue": "long_tasks"},
    },
    files={
        "supervisord/short.conf": "[program:celery_short]\ncommand=celery multi start short1 short2"
        " --soft-time-limit=300 -c10 -Q short_tasks\n",
        "supervisord/long.conf": "[program:celery_long]\ncommand=celery multi start long1"
        " -Ofair --prefetch-multiplier=1 -Q long_tasks\n",
        "supervisord/beat.conf": "[program:celery_beat]\ncommand=celery beat\n",
    },
    caches={"default": {"LOCATION": "redis://127.0.0.1:6379/1"}},
)

WEB = {"queue": "web"}
READTHEDOCS = Facts(
    source="github.com/readthedocs/readthedocs.org 7937196123747181054d4c2361ec81f93c37f8f2",
    conf={
        "broker_url": "redis://cache:6379/0",
        "task_time_limit": HOUR,
        "task_ignore_result": True,
        "task_acks_late": True,
        "worker_prefetch_multiplier": 1,
        "broker_transport_options": {"visibility_timeout": 5 * HOUR},
        "beat_scheduler": "django_celery_beat.schedulers:DatabaseScheduler",
        "beat_schedule": {
            name: {"task": task, "schedule": schedule, "options": WEB}
            for name, task, schedule in (
                ("every minute", "projects.finish_unhealthy_builds", crontab(minute="*")),
                ("quarter", "builds.archive_builds", crontab(minute="*/15")),
                ("half an hour", "builds.delete_closed_external_versions", crontab(minute="*/30", hour="*")),
                ("daily", "oauth.sync_active_users_remote_repositories", crontab(minute=30, hour=2)),
                ("weekly", "audit.delete_old_personal_audit_logs", crontab(day_of_week="wed", minute=0, hour=7)),
                ("hourly", "builds.delete_old_build_objects", crontab(minute=22, hour="*")),
            )
        },
    },
    tasks={
        "core.send_email": WEB | {"time_limit": 30},
        "projects.finish_unhealthy_builds": WEB,
        "builds.archive_builds": WEB | {"body": "with memcache_lock('archive', 60): work()"},
        "builds.delete_closed_external_versions": WEB,
        "builds.delete_old_build_objects": WEB | {"body": "with memcache_lock('delete', 7200): work()"},
        "oauth.sync_active_users_remote_repositories": WEB
        | {
            "time_limit": 3 * HOUR,
            "soft_time_limit": 3 * HOUR - 300,
            "body": "with memcache_lock('sync', 43200): work()",
        },
        "audit.delete_old_personal_audit_logs": WEB,
        "search.index": {"queue": "reindex"},
    },
)

PAPERLESS = Facts(
    source="github.com/paperless-ngx/paperless-ngx b0e0e8a35373a5d9d588a507cb63c79e50a23403",
    conf={
        "broker_url": "redis://localhost:6379",
        "result_backend": "redis://localhost:6379",
        "broker_transport_options": {"global_keyprefix": ""},
        "task_time_limit": 1800,
        "worker_concurrency": 1,
        "worker_max_tasks_per_child": 1,
        "worker_send_task_events": True,
        "beat_schedule": {
            name: {"task": task, "schedule": schedule, "options": {"expires": expires}}
            for name, task, schedule, expires in (
                ("mail", "paperless_mail.process_mail_accounts", crontab("*/10"), 9 * 60),
                ("classifier", "documents.train_classifier", crontab("5", "*/1"), 59 * 60),
                ("sanity", "documents.sanity_check", crontab("30", "0", "sun"), (7 * 24 - 1) * HOUR),
                ("trash", "documents.empty_trash", crontab("0", "1"), 23 * HOUR),
            )
        },
    },
    tasks={
        "documents.consume_file": {},
        "documents.train_classifier": {},
        "documents.sanity_check": {},
        "documents.empty_trash": {},
        "paperless_mail.process_mail_accounts": {},
    },
    files={"svc-worker/run": "exec celery --app paperless worker --loglevel INFO --without-mingle --without-gossip\n"},
    caches={"default": {"LOCATION": "redis://localhost:6379"}},
)


def project_of(facts: Facts, folder: Path, name: str = "") -> Project:
    """As loading.read_project() has it, from files in the folder."""
    for path, text in facts.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    read = read_project(app_of(facts.conf, facts.tasks, folder), folder, name)
    return Project(read.app, read.commands, facts.caches)


def app_of(conf: Mapping[str, Any], tasks: Mapping[str, Mapping[str, Any]], folder: Path) -> Celery:
    """An app with tasks whose source is in a module in the folder."""
    bodies = [options.get("body", "pass") for options in tasks.values()]
    module = folder / "audited_tasks.py"
    module.write_text("\n".join(f"def task{number}(*_):\n    {body}\n" for number, body in enumerate(bodies)))
    spec = importlib.util.spec_from_file_location("audited_tasks", module)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    app = Celery("audited", set_as_current=False)
    app.finalized = True  # else the app takes this site's tasks too
    app.conf.update(conf)
    for number, (name, options) in enumerate(tasks.items()):
        own = {key: value for key, value in options.items() if key != "body"}
        with catch_warnings(action="ignore", category=CDeprecationWarning):  # of a task's own queue
            app.task(name=name, shared=False, **own)(getattr(loaded, f"task{number}"))
    return app


def every(seconds: float, **options: Any) -> dict[str, Any]:
    return {"task": "tick", "schedule": timedelta(seconds=seconds), "options": options}
