"""10,040 publishes to `video`, which is paused so that nobody empties it."""

import time
from uuid import uuid4

from kombu.exceptions import OperationalError

from workers.brokers.connection import count_ready
from workers.models import Pause
from workers.runtime import publishing
from workers.telemetry import pauses

pauses.pause(Pause.Kind.QUEUE, "video", "the exercise")
time.sleep(10)  # until the worker knows
try:
    while count_ready("video") < 10_040:
        for _ in range(20):
            publishing.publish("workers.video.tasks.transcode_video", str(uuid4()), "video")
except OperationalError as error:
    print(f"A publish was refused: {error}")
