"""What becomes of a password reset when another queue fills the broker? `make lab N=1`.

No worker consumes the videos. Ten resets wait already, the videos fill the broker, and ten more users click. Then an
administrator gives it memory. Lost is a reset without a message then, hanging one whose click was killed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from devtools.lab import Figure, Lab, Round
from devtools.processes import wait_until
from labs import full_broker
from workers.brokers.connection import is_amqp
from workers.practices import broker

VIDEO, RESET = "workers.video.tasks.transcode_video", full_broker.RESET
CLICKS = 10  # before the broker is full, and again after

LAB = Lab(
    number=1,
    question="What becomes of a password reset when another queue fills the broker?",
    shows=(
        "Videos that nobody consumes fill the broker, and {no limit: resets lost or hanging} resets are lost. "
        "The site has a row for each, and loses {the site, broker full: resets lost or hanging}."
    ),
    seconds=60 if is_amqp() else 30,
    figures=(
        Figure("resets lost or hanging", "of 20", digits=0),
        Figure("hang", "of 10", digits=0),
        Figure("without error", "of 10", digits=0),
        Figure("noticed at video", "", digits=0),
        Figure("a worker reads", "of 10", lower_is_better=False, digits=0),
    ),
    sizes={"videos": 300, "kilobytes": 20, "limit": 100},
    short={"limit": 10},
    setup=full_broker.limit_videos,
)


@dataclass(frozen=True)
class Project:
    """publish_video: whether the broker took it. resets, videos: its queues."""

    click: Callable[[], object]
    publish_video: Callable[[], bool]
    resets: str = "resets"
    videos: str = "videos"
    has_doctor: bool = False


def klipp(lab: Round, **options: bool) -> Project:
    click = partial(full_broker.klipp(**options).forget_password, "teacher@school.example")
    return Project(click, full_broker.Videos(lab.sizes))


@LAB.wrong("no limit")
def no_limit(lab: Round) -> dict[str, float]:
    """As a tutorial has it."""
    return measure(klipp(lab))


def no_time_limit(lab: Round) -> dict[str, float]:
    """RabbitMQ confirms a publish once it has memory."""
    return measure(klipp(lab, confirm_publish=True))


def evicting(lab: Round) -> dict[str, float]:
    """Valkey evicts what nobody has used for longest: the resets."""
    return measure(klipp(lab), eviction="allkeys-lru")


LAB.wrong("confirms, no time limit")(no_time_limit) if is_amqp() else LAB.wrong("the cache is the broker")(evicting)


@LAB.right("the site, broker full")
def full(lab: Round) -> dict[str, float]:
    """Another program fills it. A publish fails at once, and its job waits in its row for the sweep."""
    return measure(
        Project(partial(full_broker.publish_job, RESET), full_broker.Videos(lab.sizes), "urgent", has_doctor=True)
    )


@LAB.right("the site, queue full")
def limited(lab: Round) -> dict[str, float]:
    """Its videos are ids. The one beyond the limit waits in its row, and the broker is not full."""
    return measure(
        Project(
            partial(full_broker.publish_job, RESET), partial(full_broker.publish_job, VIDEO), "urgent", "video", True
        )
    )


def measure(project: Project, eviction: str = "noeviction") -> dict[str, float]:
    with full_broker.small_broker(eviction):
        full_broker.click(CLICKS, project.click)
        wait_until(project.publish_video, "the first video")
        known = 1
        if project.has_doctor:
            wait_until(lambda: f"{project.videos} " in broker.verify().reason, "the doctor")
        while project.publish_video():
            known += not project.has_doctor
        succeeded, hanging = full_broker.click(CLICKS, project.click)
        knows = {"noticed at video": known} if project.has_doctor or succeeded < CLICKS else {}
        gets = len(full_broker.read(project.videos, CLICKS))
        full_broker.give_memory()
        full_broker.sweep()
        arrived = len(full_broker.read(project.resets, 100))
    return knows | {
        "resets lost or hanging": 2 * CLICKS - arrived + hanging,
        "hang": hanging,
        "without error": succeeded,
        "a worker reads": gets,
    }
