"""How gunicorn serves the site: few processes with threads, so that no slow upload holds up others."""

from pathlib import Path

import environ

from workers import log_context

env = environ.Env()
# A laptop in development serves its owner; a container must answer from outside.
host = "127.0.0.1" if env.bool("DEBUG", default=False) else "0.0.0.0"  # noqa: S104
bind = f"{host}:{env.int('PORT', default=8000)}"
workers = env.int("WEB_CONCURRENCY", default=2)
worker_class = "gthread"
threads = 8  # settings.WEB_THREADS
# With gthread this is a worker's heartbeat: an upload in its thread may take as long as it likes.
timeout = 60
# Platforms kill 30 s after SIGTERM.
graceful_timeout = 25
# The heartbeat is a file, which a busy disk would make late.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
# Its path is one per user, and two stacks side by side would share it.
control_socket_disable = True
accesslog = "-"
# Its own lines and those of its requests look like the site's.
_to_stdout = {"level": "INFO", "handlers": ["stdout"], "propagate": False}
logconfig_dict = log_context.logging_to_stdout("INFO", {"gunicorn.error": _to_stdout, "gunicorn.access": _to_stdout})
# Without the query string, where searches stand.
access_log_format = "%(m)s %(U)s %(s)s %(B)s bytes %(M)s ms"
