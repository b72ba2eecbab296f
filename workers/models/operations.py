"""What the monitor found, and what staff have paused."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from workers.clock_format import clock_time, pause_sentence


class PracticeState(models.Model):
    """The newest finding of a practice. `measured_at` of number 1 is also the claim of the monitor's next round."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    ok = models.BooleanField(null=True)
    summary = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    figure = models.FloatField(null=True)
    since = models.DateTimeField(help_text="When `ok` became what it is.")
    measured_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"practice {self.number}"


class FindingSample(models.Model):
    """A finding once a minute, kept for 30 days."""

    number = models.PositiveSmallIntegerField(help_text="Of the practice.")
    taken_at = models.DateTimeField()
    ok = models.BooleanField(null=True)
    figure = models.FloatField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(F("number"), F("taken_at").desc(), name="finding_sample_of_practice")]

    def __str__(self) -> str:
        return f"practice {self.number} at {self.taken_at}"


class Incident(models.Model):
    """A time in which a practice did not hold, kept for a year. It has an alarm once it lasted for its time."""

    number = models.PositiveSmallIntegerField(help_text="Of the practice.")
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="When it was last measured.")
    watched_since = models.DateTimeField(db_default=Now(), help_text="From when on the time of its alarm counts.")
    ended_at = models.DateTimeField(null=True)
    ok = models.BooleanField(null=True, help_text="Null: it could not be measured.")
    summary = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    alerted_at = models.DateTimeField(null=True, help_text="When its alarm was raised (AlarmMessage).")
    recovery_sent_at = models.DateTimeField(null=True, help_text="When its end was told.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["number"], condition=Q(ended_at=None), name="one_open_incident")
        ]
        indexes: ClassVar = [models.Index(F("began_at").desc(), name="incident_newest")]

    def __str__(self) -> str:
        return f"practice {self.number} since {self.began_at}"


class AlarmMessage(models.Model):
    """What is told of an incident on one channel, once: the outbox of alarms. It goes with its incident."""

    class Kind(models.TextChoices):
        ALARM = "alarm"
        RECOVERY = "recovery"

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="messages", db_index=False)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    channel = models.CharField(max_length=7, help_text="mail or webhook")
    created_at = models.DateTimeField(auto_now_add=True)
    claimed_at = models.DateTimeField(null=True, help_text="By the process that sends it.")
    sent_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True, help_text="Of the next try.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["incident", "kind", "channel"], name="one_alarm_message")
        ]
        indexes: ClassVar = [models.Index(F("channel"), name="alarm_message_unsent", condition=Q(sent_at=None))]

    def __str__(self) -> str:
        return f"{self.key} by {self.channel}"

    @property
    def key(self) -> str:
        """The same at each try to send it."""
        return f"incident-{self.incident_id}-{self.kind}"


class Deploy(models.Model):
    """When a release first ran: charts mark it. Kept for a year."""

    release = models.TextField()
    began_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(F("began_at").desc(), name="deploy_newest")]

    def __str__(self) -> str:
        return self.release


class Pause(models.Model):
    """A queue or a recurring entry that staff have paused. No row: it is not paused."""

    class Kind(models.TextChoices):
        QUEUE = "queue"
        ENTRY = "entry"

    kind = models.CharField(max_length=5, choices=Kind.choices)
    name = models.CharField(max_length=200)
    paused_at = models.DateTimeField(auto_now_add=True)
    paused_by = models.CharField(max_length=150, help_text="A name of an account, which may be gone.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["kind", "name"], name="paused_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def since(self) -> str:
        return clock_time(self.paused_at)

    @property
    def sentence(self) -> str:
        return pause_sentence(self.name, self.paused_by, self.paused_at)
