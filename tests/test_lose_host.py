"""A worker's machine loses its network in the middle of a job: another one ends the job where the checkpoint stands.

The lost machine, once it is back, writes nothing more to that job, and takes others. The machines share no disk.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone

from devtools.processes import wait_until
from mediaapp.models import CatalogueItem, Upload, User
from mediaapp.uploads.receive import store_upload
from tests import dynos, in_subprocess
from tests.conftest import environment
from tests.dynos import Dyno, Platform
from tests.hosts import ADDRESS_RANGE, PROGRAMS, Host, NamespaceError
from tests.outages import unreachable_broker
from tests.test_survive_death import assert_every_row_counts_once, catalogue, committed_rows, is_half_written, job_of
from workers.models import Job

SWEEP = "from workers.jobs import sweep; sweep()"


@pytest.fixture
def let_hosts_in(transactional_db) -> Iterator[None]:
    """PostgreSQL answers nobody but this machine by itself. What a lost host left there is ended with the test."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW hba_file")
        with Path(cursor.fetchone()[0]).open("a") as file:
            file.write(f"\nhost all all {ADDRESS_RANGE} scram-sha-256\n")
        cursor.execute("SELECT pg_reload_conf()")
        yield
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


@pytest.fixture
def hosts() -> Iterator[dict[str, Host]]:
    """Two machines, by their names. A kernel that makes none is nothing that CI could install."""
    with ExitStack() as closed_at_the_end:
        if absent := [program for program in PROGRAMS if not shutil.which(program)]:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {', '.join(absent)}: apt-get install iproute2")
        try:
            made = [closed_at_the_end.enter_context(Host(number)) for number in (1, 2)]
        except NamespaceError as error:
            pytest.skip(f"this machine gives us no network namespaces: {error}")
        yield {host.name: host for host in made}


@pytest.fixture
def brokers(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a process that works with the broker in question."""
    if request.param == "valkey":
        request.getfixturevalue("broker")
        return {"BROKER_URL": settings.BROKER_URL}
    node = request.getfixturevalue("vhost")
    return {"BROKER_URL": node.url, "BROKER_MANAGEMENT_URL": node.management}


@pytest.fixture
def platform(tmp_path: Path, let_hosts_in: None, bucket: dict[str, str], brokers: dict[str, str]) -> Iterator[Platform]:
    config = environment(JOB_LEASE="7", **bucket, **brokers)
    with dynos.platform(tmp_path / "dynos", config) as platform:
        yield platform
    print(platform.logs())  # noqa: T201 - pytest shows it when the test has failed


def begin(owner: User, rows: str, brokers: dict[str, str]) -> Upload:
    """Uploads a catalogue, and sends its job to the broker."""
    with unreachable_broker():
        upload = store_upload(owner, ContentFile(rows.encode(), name="catalogue.csv"))
    Job.objects.filter(pk=upload.pk).update(queued_at=timezone.now() - timedelta(seconds=10))
    in_subprocess.run(SWEEP, **brokers)
    return upload


def cut_off_in_the_middle(
    owner: User, brokers: dict[str, str], hosts: dict[str, Host], workers: dict[str, Dyno]
) -> tuple[Upload, str]:
    """Uploads a catalogue and cuts off the host that works on it, whose name it returns too.

    On a busy machine the first one may be over before anybody looks.
    """
    upload = begin(owner, "".join(catalogue()), brokers)
    wait_until(committed_rows, "the import to begin")
    name = job_of(upload).worker.partition("@")[2]
    workers[name].freeze()
    if found := is_half_written():
        hosts[name].disconnect()
    workers[name].resume()
    if found:
        return upload, name
    wait_until(lambda: job_of(upload).is_final, "the end of what came too late")
    for model in (Upload, Job, CatalogueItem):
        model.objects.all().delete()
    return cut_off_in_the_middle(owner, brokers, hosts, workers)


@pytest.mark.parametrize(
    ("brokers", "comes_back"),
    [("rabbitmq", "after the job is done"), ("valkey", "while another one works on it")],
    indirect=["brokers"],
)
def test_a_job_goes_on_elsewhere(
    alice: User, hosts: dict[str, Host], platform: Platform, brokers: dict[str, str], comes_back: str
):
    workers = {name: platform.start("highmem", host.command_prefix) for name, host in hosts.items()}
    upload, lost = cut_off_in_the_middle(alice, brokers, hosts, workers)
    (other,) = hosts.keys() - {lost}
    reached = job_of(upload).result["rows"]

    def is_with_the_other(state: str) -> bool:
        in_subprocess.run(SWEEP, **brokers)
        job = job_of(upload)
        assert job.result["rows"] >= reached, "it began from the start"
        return job.worker == f"highmem@{other}" and job.state in (state, Job.State.DONE)

    wait_until(lambda: is_with_the_other(Job.State.RUNNING), "the other host to take the job up")
    if comes_back == "while another one works on it":
        hosts[lost].connect()
    wait_until(lambda: is_with_the_other(Job.State.DONE), "the other host to end it")
    ended = job_of(upload)
    if comes_back == "after the job is done":
        hosts[lost].connect()

    workers[other].send_signals(signal.SIGTERM)
    assert workers[other].wait_for_exit() == 0
    again = begin(alice, "external_id,title\nA-1,One more\n", brokers)
    wait_until(lambda: job_of(again).is_final, "the lost host to take another job")
    assert job_of(again).worker == f"highmem@{lost}"
    CatalogueItem.objects.get(external_id="A-1").delete()
    assert_every_row_counts_once(upload)
    assert (job_of(upload).attempt, job_of(upload).finished_at) == (ended.attempt, ended.finished_at)
