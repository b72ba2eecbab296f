"""Counts the commands that the cache's server has run."""

from django_redis import get_redis_connection


def cache_commands() -> int:
    """Of all clients, without this one."""
    stats = get_redis_connection("default").info("commandstats")
    return sum(each["calls"] for name, each in stats.items() if name != "cmdstat_info")
