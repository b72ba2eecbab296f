"""A worker of the Procfile keeps no connection for talk with other workers, though its line does not say so."""

import re

from redis import Redis

from devtools.processes import ROOT, wait_until


def listeners(broker: Redis) -> list[dict[str, str]]:
    """The connections that wait for what others broadcast."""
    return [client for client in broker.client_list() if client["sub"] != "0" or client["psub"] != "0"]


def test_a_worker_listens_to_no_other_one(start, broker):
    start("default")
    names = [client["name"] for client in broker.client_list()]
    assert any(name.startswith("default@") for name in names)
    assert listeners(broker) == []


def test_its_log_says_what_it_does_all_the_same(start, broker, tmp_path):
    start("default")
    wait_until(lambda: re.search(r"INFO celery\S* .*ready", (tmp_path / "default0.log").read_text()), "its ready line")


def test_no_line_of_the_procfile_is_too_long_to_read():
    assert max(map(len, (ROOT / "Procfile").read_text().splitlines())) <= 175
