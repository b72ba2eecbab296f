# A run of delete_old takes its lock, and is killed before it has done anything, as in a deploy. What an earlier one has
# left is deleted before, so that you see what your last edit has changed.
import os
import signal
import time

from django_redis import get_redis_connection

from workers.practices import locks
from workers.telemetry.held_locks import PREFIX

get_redis_connection("locks").delete(PREFIX + "delete_old")
child = os.fork()
if child == 0:
    try:
        with locks.exclusive("delete_old", lease=30):
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10)
    finally:
        os._exit(1)
os.waitpid(child, 0)
