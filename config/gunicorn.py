"""gunicorn: few processes with threads, so that a slow upload blocks no other request."""

from pathlib import Path

import environ

from workers import log_context

env = environ.Env()
# In development only this machine may connect. A container must accept connections from outside.
host = "127.0.0.1" if env.bool("DEBUG", default=False) else "0.0.0.0"  # noqa: S104
bind = f"{host}:{env.int('PORT', default=8000)}"
workers = env.int("WEB_CONCURRENCY", default=2)
worker_class = "gthread"
threads = 8  # settings.WEB_THREADS
# With gthread this limits the silence of a process, not the time of a request: an upload may take longer.
timeout = 60
# Heroku and docker compose send SIGKILL 30 s after SIGTERM.
graceful_timeout = 25
# The heartbeat is a file. On a busy disk it would be late, and gunicorn would kill the process.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
# The socket's path is the same for all stacks of a user, so two stacks would share it.
control_socket_disable = True
accesslog = "-"
# One log format for gunicorn and the site.
_to_stdout = {"level": "INFO", "handlers": ["stdout"], "propagate": False}
logconfig_dict = log_context.logging_to_stdout("INFO", {"gunicorn.error": _to_stdout, "gunicorn.access": _to_stdout})
# Without the query string, which contains searches.
access_log_format = "%(m)s %(U)s %(s)s %(B)s bytes %(M)s ms"
