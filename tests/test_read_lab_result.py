"""A practice's page shows what its lab measured: the saved result, and that of this machine."""

import json
import math
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client

from devtools.lab.result import load, path_of, save
from tests.lab_results import result

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, settings) -> tuple[Path, Path]:
    """Of the repository's results, and of this machine's."""
    settings.BASE_DIR, settings.LOCAL_DIR = tmp_path, tmp_path / "local"
    return tmp_path / "docs" / "results", tmp_path / "local" / "labs"


def read(client: Client) -> str:
    return " ".join(client.get("/practices/3/").content.decode().split())


def test_the_saved_results_of_both_brokers_stand_side_by_side(client: Client, folders):
    for broker, wait, age in (("Valkey 9.1", 0.05, 4), ("RabbitMQ 4.0", 0.25, 3)):
        save(result(broker, wait, age=timedelta(days=age)), path_of(3, broker, folders[0]))
    page = read(client)
    assert "It waits 0.05 s on Valkey 9.1." in page  # as `make lab` beside it would say
    cells = [" ".join(each.split()) for each in page.split('<td class="number">')[1:]]
    assert [each.partition("</td>")[0] for each in cells] == ["50.00 s", "250.00 s", "0.05 s", "0.25 s"]
    assert ["4 days ago" in page, "3 days ago" in page] == [True, True]
    assert "one &lt;queue&gt;" in page
    assert ["yours" in page, "Yours" in page] == [False, False]


def test_a_result_of_this_machine_stands_beside_the_saved_one(client: Client, folders):
    save(result("Valkey 9.1", 0.05, age=timedelta(days=3)), path_of(3, "Valkey", folders[0]))
    save(result("Valkey 9.1", 0.07, age=timedelta(minutes=12)), path_of(3, "Valkey", folders[1]))
    page = read(client)
    assert "It waits 0.07 s on Valkey 9.1." in page
    assert "Yours, 12 min ago" in page
    assert ["0.05 s" in page, "0.07 s" in page] == [True, True]
    assert "It waits 0.07 s on Valkey 9.1." in client.get("/practices/").content.decode()


def test_what_a_lab_found_is_folded_so_that_no_guess_is_spoiled(client: Client, folders):
    save(result("Valkey 9.1", 0.05, age=timedelta(days=3)), path_of(3, "Valkey", folders[0]))
    for address in ("/practices/", "/practices/3/"):
        page = client.get(address).content.decode()
        shown = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
        assert ["It waits" in page, "It waits" in shown, "0.05 s" in shown] == [True, False, False]
        assert re.search(r"<summary>[^<]*How long\?", page)


def test_without_a_result_the_page_says_how_to_get_one(client: Client):
    page = read(client)
    assert "no result is saved yet" in page
    assert "<code>make lab N=3</code>" in page


def test_an_arm_that_never_gets_there_says_so_in_json_that_every_reader_takes(client: Client, folders):
    save(result("Valkey 9.1", math.inf, age=timedelta(0)), path := path_of(3, "Valkey", folders[0]))
    json.loads(path.read_text(), parse_constant=pytest.fail)
    found = load(path)
    assert found.cite("two queues: median wait") == "never"
    assert found.ratio(found.arm("one <queue>"), found.figure("median wait")) is None
    assert read(client).count('<td class="number">never</td>') == 2


@pytest.mark.parametrize("garbage", ["", "{", "[]", "3", '{"figures": [], "arms": []}', "\0", "half a date"])
def test_garbage_is_named_and_breaks_nothing(garbage: str, client: Client, folders):
    good = result("Valkey 9.1", 0.05, age=timedelta(0))
    save(good, path_of(3, "Valkey", folders[0]))
    text = path_of(3, "Valkey", folders[0]).read_text()
    folders[1].mkdir(parents=True)
    path_of(3, "Valkey", folders[1]).write_text(text.replace(good.date, "20") if garbage == "half a date" else garbage)
    page = read(client)
    assert "The result in 3.json cannot be read." in page
    assert "It waits 0.05 s" in page


def test_a_figure_that_is_no_number_is_garbage(client: Client, folders):
    save(result("Valkey 9.1", 0.05, age=timedelta(0)), path := path_of(3, "Valkey", folders[0]))
    read_back = json.loads(path.read_text())
    read_back["arms"][0]["figures"]["median wait"]["median"] = "<script>"
    path.write_text(json.dumps(read_back))
    assert f"The result in {path.relative_to(folders[0].parent.parent)} cannot be read." in read(client)
