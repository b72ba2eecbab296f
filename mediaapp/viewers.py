"""A token of each user in the cache, without which a poll's cookie is worth nothing.

The end of any session of the user deletes it, and so do a new password and a closed account. Then each poll of the user
asks the database once, which knows the sessions that still hold. An evicted or flushed token costs the same.
"""

from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils.crypto import get_random_string

TOKEN_SECONDS = 600  # bounds what no signal tells: the expiry of a session, or a row changed by SQL
KEY = "viewer_{}"


def token_key(user_id: object) -> str:
    return KEY.format(user_id)


def read_or_create_token(user_id: object) -> str:
    return str(cache.get_or_set(token_key(user_id), lambda: get_random_string(22), TOKEN_SECONDS))


@receiver(post_delete, sender="sessions.Session")
def end_session(instance: Any, **_: Any) -> None:
    """Also at a log-out, which deletes the session's row."""
    if user_id := instance.get_decoded().get("_auth_user_id"):
        cache.delete(token_key(user_id))


@receiver([post_save, post_delete], sender=settings.AUTH_USER_MODEL)
def end_sessions(instance: Any, **_: Any) -> None:
    """Whether it was the password, or a user who is no longer active or staff."""
    cache.delete(token_key(instance.pk))
