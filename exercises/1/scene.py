"""Fills `video` almost to its limit at once, then publishes the last ones. It is paused, so nobody empties it."""

import time
from uuid import uuid4

from kombu.exceptions import OperationalError

from workers.brokers.connection import connect, count_ready
from workers.models import Pause
from workers.runtime import publishing
from workers.telemetry import pauses

LIMIT, STEP = 10_000, 995


def publish():
    publishing.publish("workers.video.tasks.transcode_video", str(uuid4()), "video")


pauses.pause(Pause.Kind.QUEUE, "video", "the exercise")
time.sleep(10)  # until the worker knows
try:
    publish()
    with connect() as connection:
        client = connection.default_channel.client
        fullest = max((key for key in client.keys("video*") if client.type(key) == b"list"), key=client.llen)
        message = client.lindex(fullest, 0)
        while count_ready("video") + STEP < LIMIT:
            client.lpush(fullest, *[message] * STEP)
    while count_ready("video") < LIMIT + 40:
        publish()
except OperationalError as error:
    print(f"A publish was refused: {error}")
