"""A token of each user in the cache, without which a poll's cookie is worth nothing.

The end of any session of the user deletes it, and so do a new password and a closed account. Then each poll of the user
asks the database once, which knows the sessions that still hold. An evicted or flushed token costs the same.

A cache that is away keeps the token. Then this process trusts no token of the user, and a thread waits for the cache to
answer and deletes it. If the process ends before that, the token ends by itself.
"""

import logging
import time
from threading import Thread
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils.crypto import get_random_string
from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

TOKEN_SECONDS = 60  # bounds what no signal tells: the expiry of a session, a row changed by SQL, a lost deletion
RETRY_SECONDS = 0.2
KEY = "viewer_{}"

undeleted: set[str] = set()  # the ids of users whose tokens this process could not delete yet


def token_key(user_id: object) -> str:
    return KEY.format(user_id)


def read_or_create_token(user_id: object) -> str:
    return str(cache.get_or_set(token_key(user_id), lambda: get_random_string(22), TOKEN_SECONDS))


def delete_token(user_id: object) -> None:
    try:
        get_redis_connection("default").delete(token_key(user_id))
    except RedisError as error:
        log.info("viewer_token_kept user=%s error=%r", user_id, error)
        if str(user_id) not in undeleted:
            undeleted.add(str(user_id))
            Thread(target=_delete_later, args=(str(user_id),), daemon=True).start()


def _delete_later(user_id: str) -> None:
    """Past the circuit breaker, so that a silent cache deletes the token as soon as it answers."""
    deadline = time.monotonic() + TOKEN_SECONDS
    try:
        while time.monotonic() < deadline:
            try:
                with Redis.from_url(settings.REDIS_URL, socket_timeout=TOKEN_SECONDS, **settings.CACHE_TLS) as client:
                    client.delete(token_key(user_id))
                return
            except RedisError:
                time.sleep(RETRY_SECONDS)
    finally:
        undeleted.discard(user_id)


@receiver(post_delete, sender="sessions.Session")
def end_session(instance: Any, **_: Any) -> None:
    """Also at a log-out, which deletes the session's row."""
    if user_id := instance.get_decoded().get("_auth_user_id"):
        delete_token(user_id)


@receiver([post_save, post_delete], sender=settings.AUTH_USER_MODEL)
def end_sessions(instance: Any, **_: Any) -> None:
    """Whether it was the password, or a user who is no longer active or staff."""
    delete_token(instance.pk)
