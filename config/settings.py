"""Django's settings. A variable comes from the process's environment, else `.env`, else `.local/env`."""

import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.queues import TABLE
from workers import addresses, log_context
from workers.cache_breaker import CACHE_BREAKER

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(str(BASE_DIR / ".env"))
LOCAL_DIR = Path(env.str("LOCAL_DIR", default=str(BASE_DIR / ".local")))
env.read_env(str(LOCAL_DIR / "env"))

DEBUG = env.bool("DEBUG", default=False)
# A platform runs collectstatic in its build, which has no secrets.
BUILDING = "collectstatic" in sys.argv
SECRETS = ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "BROKER_URL", "LOCKS_URL", "EMAIL_URL", "SITE_URL")
BROKER_URL = env.str("BROKER_URL", default="") or env.str("CLOUDAMQP_URL", default="")
# A Redis broker's server evicts nothing, so it can have the locks too (docs/decisions/0005-where-locks-live.md).
LOCKS_URL = env.str("LOCKS_URL", default="") or addresses.next_database(BROKER_URL)
given = {name: env.str(name, default="") for name in SECRETS} | {"BROKER_URL": BROKER_URL, "LOCKS_URL": LOCKS_URL}
if missing := [name for name, value in given.items() if not (value or DEBUG or BUILDING)]:
    raise ImproperlyConfigured(
        f"Set {', '.join(missing)}: without DEBUG nothing has a default. See .env.example; "
        "on your own machine, `make run` sets them all."
    )

# The running version, which rows of runs record and charts mark. On Heroku "v42 1a2b3c4".
HEROKU = (env.str("HEROKU_RELEASE_VERSION", default=""), env.str("HEROKU_SLUG_COMMIT", default="")[:7])
RELEASE = (env.str("RELEASE", default="") or " ".join(filter(None, HEROKU)))[:12]

# Workers write mails without a request, so the site must know its own URL.
PORT = env.str("PORT", default="8000")
SITE_URL = (env.str("SITE_URL", default="") or f"http://127.0.0.1:{PORT}").rstrip("/")
SECRET_KEY = env.str("SECRET_KEY", default="only-for-development")
# Probes of the platform use the machine's own addresses.
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(SITE_URL).hostname, "localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = [SITE_URL]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

INSTALLED_APPS = [
    "mediaapp",
    "workers",
    "django_celery_beat",
    "django_htmx",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",  # for the indexes of the staff's search
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]
# `manage.py up` and the demo user. The image does not contain this package.
if DEBUG and find_spec("devtools"):
    INSTALLED_APPS.append("devtools")
# OpenTelemetry's SDK reads its standard variables itself (docs/tracing.md). Without a collector it is not imported.
COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
IS_TRACING = any(env.str(name, default="") for name in COLLECTORS) and not env.bool("OTEL_SDK_DISABLED", default=False)
MIDDLEWARE = [
    "mediaapp.middleware.RequestIDMiddleware",
    *(["mediaapp.tracing_middleware.TracingMiddleware"] if IS_TRACING else []),
    "mediaapp.middleware.SilentServerMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "mediaapp.middleware.ContentSecurityPolicyMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
DJANGO_TEMPLATES = "django.template.backends.django.DjangoTemplates"
CONTEXT = ["template.context_processors.request", "contrib.auth.context_processors.auth"]
CONTEXT += ["contrib.messages.context_processors.messages"]
TEMPLATE_OPTIONS = {"context_processors": [f"django.{name}" for name in CONTEXT]}
TEMPLATES: list[dict[str, Any]] = [{"BACKEND": DJANGO_TEMPLATES, "APP_DIRS": True, "OPTIONS": TEMPLATE_OPTIONS}]
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]

# PostgreSQL only, so that development runs production's code. CONN_MAX_AGE applies to web processes: Celery closes the
# connection around every task (docs/facts/celery.md#django-fixup-connections).
DATABASES = {"default": env.db_url("DATABASE_URL", default="postgres://127.0.0.1/mediaapp")}
addresses.require_database_tls(DATABASES["default"])
DATABASES["default"] |= {"ENGINE": "workers.database", "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 2)
addresses.set_database_keepalives(DATABASES["default"])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The cache has a server of its own, which evicts: an eviction would delete a queued task or a lock (practices.E101 and
# E201). The cache may be away: a read is then a miss, and a page shows no progress. The locks' alias raises if its
# server is away.
BROKER_URL = BROKER_URL or "redis://127.0.0.1:6379/0"
LOCKS_URL = LOCKS_URL or "redis://127.0.0.1:6379/1"
BROKER_MANAGEMENT_URL = env.str("BROKER_MANAGEMENT_URL", default="")
QUEUE_TYPE = env.str("QUEUE_TYPE", default="")  # workers/brokers/declarations.py
QUEUE_TABLE = TABLE
BROKER_CA = addresses.read_ca_certificate("BROKER_CA", env.str("BROKER_CA", default=""))
REDIS_URL = env.str("REDIS_URL", default="") or "redis://127.0.0.1:6380/0"
REDIS_CA = addresses.read_ca_certificate("REDIS_CA", env.str("REDIS_CA", default=""))
REDIS_TLS = env.str("REDIS_TLS", default="") or "verified"
if REDIS_TLS not in ("verified", "unverified"):
    raise ImproperlyConfigured(f"REDIS_TLS is {REDIS_TLS!r}: write verified or unverified. See .env.example.")
VERIFIED = REDIS_TLS == "verified"
BROKER_TLS = addresses.amqp_tls_options(BROKER_URL, BROKER_CA) or addresses.redis_tls_options(
    BROKER_URL, REDIS_CA, VERIFIED
)
CACHE_TLS = addresses.redis_tls_options(REDIS_URL, REDIS_CA, VERIFIED)
LOCKS_TLS = addresses.redis_tls_options(LOCKS_URL, REDIS_CA, VERIFIED)
# The threads of a process share two connections, because small plans allow few (workers/capacity/connections.py).
# A page waits half a second for the cache, then goes without it for some seconds; a lock waits longer. The timeout of a
# pool is for a free connection.
REDIS_POOL = 2
BLOCKING_POOL: dict[str, Any] = {"CONNECTION_POOL_CLASS": "redis.BlockingConnectionPool"}
CACHE_LIMITS: dict[str, Any] = BLOCKING_POOL | {"SOCKET_CONNECT_TIMEOUT": 0.5, "SOCKET_TIMEOUT": 0.5}
CACHE_POOL: dict[str, Any] = {"max_connections": REDIS_POOL, "timeout": 0.5, "retry": CACHE_BREAKER}
LOCKS_LIMITS: dict[str, Any] = BLOCKING_POOL | {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 2}
LOCKS_POOL: dict[str, Any] = {"max_connections": REDIS_POOL, "timeout": 1}


def plain_key(key: str, prefix: str, version: int) -> str:
    """Keys have the same name in Redis as in the code (practices.E601)."""
    return key


REDIS_CACHE: dict[str, Any] = {"BACKEND": "django_redis.cache.RedisCache", "KEY_FUNCTION": plain_key}
CACHE_OPTIONS = {"IGNORE_EXCEPTIONS": True, "SERIALIZER": "django_redis.serializers.json.JSONSerializer"}
CACHE_OPTIONS |= CACHE_LIMITS | {"CONNECTION_POOL_KWARGS": CACHE_POOL | CACHE_TLS}
LOCKS_OPTIONS = LOCKS_LIMITS | {"CONNECTION_POOL_KWARGS": LOCKS_POOL | LOCKS_TLS}
CACHES: dict[str, dict[str, Any]] = {
    "default": REDIS_CACHE | {"LOCATION": REDIS_URL, "OPTIONS": CACHE_OPTIONS},
    "locks": REDIS_CACHE | {"LOCATION": LOCKS_URL, "OPTIONS": LOCKS_OPTIONS},
}

# Accounts and rate limits. PROXIES: the number of our own proxies before the site; a platform's router is 1.
AUTH_USER_MODEL = "mediaapp.User"
VALIDATORS = ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
AUTH_PASSWORD_VALIDATORS = [{"NAME": f"django.contrib.auth.password_validation.{name}Validator"} for name in VALIDATORS]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "library"
LOGOUT_REDIRECT_URL = "login"
TRIES_PER_ADDRESS = env.str("TRIES_PER_ADDRESS", default="10/10m")
TRIES_PER_CLIENT = env.str("TRIES_PER_CLIENT", default="50/10m")
TRIES_PER_ACCOUNT = env.str("TRIES_PER_ACCOUNT", default="100/10m")
PROXIES = env.int("PROXIES", default=0)

# Mail: SMTP in production. In development, the page /dev/mail/ shows the mails.
if DEBUG and not env.str("EMAIL_URL", default=""):
    INSTALLED_APPS.append("django_mail_preview")
    EMAIL_BACKEND = "django_mail_preview.backends.EmailBackend"
    MAIL_PREVIEW_ROOT = LOCAL_DIR / "mail"
else:
    vars().update(env.email_url_config(env.str("EMAIL_URL", default="") or "dummymail://"))
EMAIL_TIMEOUT = 5
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="mediaapp <noreply@example.com>")

# Files. Uploads arrive in a folder on the storage's own disk, so that storing one is a rename. The gateway keeps bodies
# there until they are complete.
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(LOCAL_DIR / "media")))
FILE_UPLOAD_TEMP_DIR = MEDIA_ROOT / "incoming"
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
FILE_UPLOAD_PERMISSIONS = 0o640
MAX_VIDEO_BYTES = env.int("MAX_VIDEO_BYTES", default=2_000_000_000)
MAX_CSV_BYTES = env.int("MAX_CSV_BYTES", default=1_000_000_000)
MAX_BYTES_PER_OWNER = env.int("MAX_BYTES_PER_OWNER", default=50_000_000_000)  # of all that is not deleted
# An import with a larger share of bad rows stops early and asks its owner. 1: it never stops.
IMPORT_MAX_BAD_SHARE = env.float("IMPORT_MAX_BAD_SHARE", default=0.5)
STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
PICTURES = [BASE_DIR / "docs" / name for name in ("images", "pictures", "results")]  # of the documents
STATICFILES_DIRS = [(f"docs/{folder.name}", folder) for folder in PICTURES if folder.exists()]

# Object storage, for machines that share no disk. Browsers upload to the bucket and download from it.
S3_BUCKET = env.str("S3_BUCKET", default="")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", default="").rstrip("/")
AWS_REGION = env.str("AWS_REGION", default="") or "us-east-1"
AWS_ACCESS_KEY_ID = env.str("AWS_ACCESS_KEY_ID", default="")
AWS_SECRET_ACCESS_KEY = env.str("AWS_SECRET_ACCESS_KEY", default="")
S3_PUBLIC_URL = env.str("S3_PUBLIC_URL", default="").rstrip("/") or S3_ENDPOINT_URL
S3_PUBLIC_URL = S3_PUBLIC_URL or f"https://s3.{AWS_REGION}.amazonaws.com"
S3_ORIGINS = [S3_PUBLIC_URL] if S3_BUCKET else []
# The folder for copies of files that workers process, and the total size of these copies on one machine.
SCRATCH_DIR = Path(env.str("SCRATCH_DIR", default=str(LOCAL_DIR / "scratch")))
SCRATCH_BYTES = env.int("SCRATCH_BYTES", default=10_000_000_000)
ON_DISK, IN_BUCKET = "django.core.files.storage.FileSystemStorage", "workers.storage.object_storage.ObjectStorage"
STORAGES = {
    "default": {"BACKEND": IN_BUCKET if S3_BUCKET else ON_DISK},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Retention in days (docs/retention.md): of the file as it was sent and its rejected rows, after its job has ended; of
# uploads of which nothing else is left; of task runs and queue samples; of their hours.
KEEP_SOURCES_DAYS = env.int("KEEP_SOURCES_DAYS", default=30)
KEEP_JOBS_DAYS = env.int("KEEP_JOBS_DAYS", default=365)
KEEP_RUNS_DAYS = env.int("KEEP_RUNS_DAYS", default=30)
KEEP_HOURS_DAYS = env.int("KEEP_HOURS_DAYS", default=365)
# The clean-ups of the site. Dotted paths, because workers import nothing of the site.
FUNCTIONS = ["cancel_unconfirmed", "delete_old_sources", "delete_old_uploads", "delete_expired_sessions"]
FUNCTIONS += ["delete_old_mappings", "delete_old_admin_log", "delete_old_actions"]
CLEAN_UPS = [f"mediaapp.retention.{name}" for name in FUNCTIONS]
if S3_BUCKET:
    CLEAN_UPS.append("mediaapp.uploads.direct.discard_abandoned_uploads")

# The number of dynos by process. Unset: the formation of app.json.
FORMATION = env.str("FORMATION", default="")
# Web processes and their threads (config/server.py, config/asgi.py), and the connections that the servers' plans allow.
WEB_CONCURRENCY = env.int("WEB_CONCURRENCY", default=2)
WEB_THREADS = 8
BROKER_POOL = 2
PLANS = {"database": "DATABASE", "cache": "REDIS", "locks": "LOCKS", "broker": "BROKER"}
CONNECTIONS = {server: env.int(f"{name}_CONNECTIONS", default=None) for server, name in PLANS.items()}

# Seconds until another worker may take the job of a dead worker. A living worker renews its lease.
JOB_LEASE = env.int("JOB_LEASE", default=10)

# Browsers load from this site and the bucket only, and by TLS if SITE_URL is https.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        **{kind: [SELF, *S3_ORIGINS] for kind in ("connect-src", "media-src")},
        "default-src": [SELF],
        "img-src": [SELF, "data:", *S3_ORIGINS],
        "form-action": [SELF],
        **{kind: [NONE] for kind in ("object-src", "base-uri", "frame-ancestors")},
    },
    "EXCLUDE_URL_PREFIXES": ("/dev/",),
}
# What a page may ask of a browser, frames in it included. A script that got in could ask for the rest.
ALLOWED_FEATURES = ("autoplay", "fullscreen", "picture-in-picture")
DENIED_FEATURES = ("camera", "display-capture", "geolocation", "hid", "microphone", "midi", "payment", "serial", "usb")
PERMISSIONS_POLICY: dict[str, Any] = dict.fromkeys(ALLOWED_FEATURES, "self") | dict.fromkeys(DENIED_FEATURES, ())
HTTPS = SITE_URL.startswith("https://")
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=3600 if HTTPS else 0)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # HSTS of subdomains: the domain's owner decides
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# A browser takes a cookie of this prefix by TLS alone, and from this host: a neighbour in the domain can set none.
COOKIE_PREFIX = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid", f"{COOKIE_PREFIX}csrftoken"
MESSAGE_STORAGE = "mediaapp.message_storage.MessageStorage"
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # platforms probe by plain HTTP

LANGUAGE_CODE = "en-gb"
USE_I18N = False
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True

# Who shows it reads /metrics and /healthz/practices, as staff do: Prometheus, an uptime monitor. Unset: staff alone.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# Alarms (docs/alarms.md). Seconds between two measurements; for which a practice does not hold before its alarm, by its
# number, 0 for none; for which it holds again before the recovery is told; in which it has one alarm at most; for which
# no alarm is raised after a new release, which restarts everything.
MONITOR_SECONDS = env.float("MONITOR_SECONDS", default=15)
ALERT_AFTER = env.int("ALERT_AFTER_SECONDS", default=120)
ALERT_AFTER_SECONDS = {number: env.int(f"ALERT_AFTER_SECONDS_{number}", default=ALERT_AFTER) for number in range(1, 10)}
ALERT_RECOVERY_SECONDS = env.int("ALERT_RECOVERY_SECONDS", default=60)
ALERT_REPEAT_SECONDS = env.int("ALERT_REPEAT_SECONDS", default=600)
ALERT_DEPLOY_SECONDS = env.int("ALERT_DEPLOY_SECONDS", default=180)
# Not Django's ADMINS: its log handler would mail each error of a request, while its user waits.
ALERT_ADDRESSES = env.list("ADMINS", default=[])
ALERT_WEBHOOK_URL = env.str("ALERT_WEBHOOK_URL", default="")
ALERT_WEBHOOK_SECRET = env.str("ALERT_WEBHOOK_SECRET", default="")
ALERT_WEBHOOK_FORMAT = env.str("ALERT_WEBHOOK_FORMAT", default="") or "json"
# Somebody outside rings when this address is no longer called each minute.
HEARTBEAT_URL = env.str("HEARTBEAT_URL", default="")
HEARTBEAT_SECONDS = 60

# Errors go to Sentry. Its own traces, a share of 0 to 1, are off unless asked for.
SENTRY_DSN = env.str("SENTRY_DSN", default="")
SENTRY_TRACES_SAMPLE_RATE = env.float("SENTRY_TRACES_SAMPLE_RATE", default=None)

# The log. QUIET ones write at INFO six lines every ten seconds about recurring tasks; OpenTelemetry writes several for
# each batch that a collector does not take, and workers.tracing.sender one. Granian sets up its own (config/server.py).
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_FORMAT = env.str("LOG_FORMAT", default="") or "line"
if LOG_FORMAT not in ("line", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}: write line or json. See docs/logging.md.")
IS_JSON = LOG_FORMAT == "json"
logging.captureWarnings(IS_JSON)  # else Python writes a warning to stderr, in lines of its own
QUIET = ("celery.worker.strategy", "celery.app.trace", "celery.beat")
LEVELS = dict.fromkeys(QUIET, "WARNING") | {"mediaapp.access": "INFO", "opentelemetry": "CRITICAL"}
LOGGERS = {name: {"level": level} for name, level in LEVELS.items()}
LOGGING = log_context.logging_to_stdout(LOG_LEVEL, LOGGERS, is_json=IS_JSON, release=RELEASE)
GRANIAN_LOGGING = log_context.logging_to_stdout("INFO", {"_granian": {}}, is_json=IS_JSON, release=RELEASE)
