"""docker-compose.yml, the Dockerfile and docs/deploy.md, without Docker: what they say, and that it works here."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from django.core.management import get_commands
from django.db import connection

from devtools.embedded import POSTGRES
from devtools.processes import ROOT, web
from devtools.stack import read_procfile
from tests.conftest import environment
from tests.image import copy_code, is_let_through
from workers.capacity.process_files import read_memory_limits
from workers.capacity.run_memory import DYNO_BYTES
from workers.runtime.stopping import GRACE_SECONDS

BIN, PROCFILE = Path(sys.executable).parent, ROOT / "Procfile"
PASSWORDS = ("SECRET_KEY", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SECRETS = dict.fromkeys(PASSWORDS, "of-a-test") | {"EMAIL_URL": "smtp://mail:1025"}
ONE_OFF = {"release", "bucket"}  # they end before the others start


def resolve(secrets: Mapping[str, str] = SECRETS) -> subprocess.CompletedProcess[str]:
    """The file as Compose understands it, with all its profiles."""
    variables = {"PATH": os.defpath, "COMPOSE_PROFILES": "mail,tls", **secrets}
    # Neither a .env nor an override that a developer may have here.
    command = [BIN / "docker-compose", "--env-file", os.devnull, "--file", ROOT / "docker-compose.yml"]
    return subprocess.run(
        [*command, "config", "--format", "json"], env=variables, cwd=ROOT, capture_output=True, text=True, check=False
    )


@cache
def services() -> dict[str, dict]:
    done = resolve()
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr
    return json.loads(done.stdout)["services"]


def services_of_the_site() -> set[str]:
    return {name for name, service in services().items() if "build" in service}


@pytest.mark.parametrize("secret", SECRETS)
def test_it_does_not_start_without_a_secret_and_names_it(secret: str):
    done = resolve({name: value for name, value in SECRETS.items() if name != secret})
    assert done.returncode != 0
    assert f"{secret} is missing a value: set it in .env" in done.stderr


def test_a_service_runs_each_line_of_the_procfile():
    # A line with a shell's words in it needs a shell.
    lines = {
        name: ["sh", "-c", line] if "&&" in line else shlex.split(line)
        for name, line in read_procfile(PROCFILE).items()
    }
    assert {name: services()[name]["command"] for name in lines} == lines
    assert services_of_the_site() == {*lines, "bucket"}


def test_a_service_has_the_memory_of_the_dyno_that_practice_9_reckons_with():
    formation = json.loads((ROOT / "app.json").read_text())["formation"]
    dynos = {name: DYNO_BYTES[dyno["size"]] for name, dyno in formation.items()}
    assert {name: int(services()[name]["mem_limit"]) for name in dynos} == dynos


def test_practice_9_reads_the_limits_that_compose_sets():
    limits = {name: int(service["mem_limit"]) for name, service in services().items()}
    assert read_memory_limits(list(services())) == limits


def test_every_container_has_limits_a_version_a_health_check_and_restarts():
    for name, service in services().items():
        assert int(service["mem_limit"]) > 0, name
        assert service["logging"] == {"driver": "local"}, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name in ONE_OFF:
            assert (service["restart"], service["healthcheck"]) == ("no", {"disable": True}), name
        else:
            assert (service["restart"], service["healthcheck"]["test"][0][:3]) == ("unless-stopped", "CMD"), name
        if name in services_of_the_site():
            assert (service["image"], service["pull_policy"]) == ("mediaapp:latest", "never"), name
        else:
            assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?(-\w+)?", service["image"]), name


def test_the_release_names_the_image_and_the_mark_in_the_charts():
    done = resolve(SECRETS | {"RELEASE": "1a2b3c4"})
    found = json.loads(done.stdout)["services"]
    named = {(found[name]["image"], found[name]["environment"]["RELEASE"]) for name in services_of_the_site()}
    assert named == {("mediaapp:1a2b3c4", "1a2b3c4")}


def test_the_proxy_has_a_name_for_the_storage_even_where_the_files_are_at_amazon():
    done = resolve(SECRETS | {"S3_ENDPOINT_URL": "", "S3_PUBLIC_URL": ""})
    found = json.loads(done.stdout)["services"]
    assert found["web"]["environment"]["S3_PUBLIC_URL"] == ""
    assert urlsplit(found["proxy"]["environment"]["S3_PUBLIC_URL"]).hostname


def test_services_of_the_site_have_no_capabilities_and_enough_time_to_stop():
    for name in services_of_the_site():
        service = services()[name]
        assert (service["read_only"], service["cap_drop"], service["init"]) == (True, ["ALL"], True), name
        assert int(service["stop_grace_period"].removesuffix("s")) >= GRACE_SECONDS + 5, name


def test_only_the_proxy_has_public_ports():
    opened = {name: service.get("ports", []) for name, service in services().items()}
    proxy = opened.pop("proxy")
    assert {(port["published"], port["protocol"]) for port in proxy} == {("80", "tcp"), ("443", "tcp"), ("443", "udp")}
    ports = {port["published"]: name for name, each in opened.items() for port in each}
    assert ports == {"8000": "web", "8333": "storage", "8025": "mail"}
    assert {port.get("host_ip") for each in opened.values() for port in each} == {"127.0.0.1"}


def run_health_check(name: str, replace: dict[str, str] | None = None, **variables: str) -> int:
    """The exit code of a service's health check on this machine. replace: its ports and the like."""
    kind, *words = (word.replace("$$", "$") for word in services()[name]["healthcheck"]["test"])
    for old, new in (replace or {}).items():
        assert any(old in word for word in words)
        words = [word.replace(old, new) for word in words]
    command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
    env = environment(PATH=f"{BIN}{os.pathsep}{POSTGRES}{os.pathsep}{os.environ['PATH']}", **variables)
    return subprocess.run(command, env=env, capture_output=True, check=False).returncode


@pytest.mark.django_db
def test_the_health_check_of_the_web_passes_for_an_answer_alone():
    with web(environment(WEB_CONCURRENCY="1"), probe="/healthz") as site:
        port = str(site.port)
        assert run_health_check("web", {"8000": port}) == 0
        assert run_health_check("web", {"8000": "1"}) != 0
        assert run_health_check("web", {"8000": port, "/healthz": "/no-such-page"}) != 0


@pytest.mark.parametrize("name", ["default", "video", "highmem", "beat"])
def test_the_health_check_of_a_worker_and_of_beat_is_a_recent_file(tmp_path: Path, name: str):
    assert run_health_check(name, READY_DIR=str(tmp_path)) != 0
    file = tmp_path / name
    file.touch()
    assert run_health_check(name, READY_DIR=str(tmp_path)) == 0
    os.utime(file, (file.stat().st_mtime - 180,) * 2)
    assert run_health_check(name, READY_DIR=str(tmp_path)) != 0


@pytest.mark.django_db
def test_the_health_check_of_postgresql_connects_by_tcp():
    here, nowhere = str(connection.settings_dict["PORT"]), "1"
    assert run_health_check("postgres", PGPORT=here) == 0
    assert run_health_check("postgres", PGPORT=nowhere) != 0


def test_the_health_check_of_rabbitmq_connects_to_both_of_its_ports(rabbitmq_node):
    amqp, management = (str(urlsplit(url).port) for url in (rabbitmq_node.url, rabbitmq_node.management))
    assert run_health_check("rabbitmq", {"/15672": f"/{management}", "/5672": f"/{amqp}"}) == 0
    assert run_health_check("rabbitmq", {"/15672": "/1", "/5672": f"/{amqp}"}) != 0
    assert run_health_check("rabbitmq", {"/15672": f"/{management}", "/5672": "/1"}) != 0


def test_the_health_check_of_the_storage_asks_for_a_path_that_exists(s3: dict[str, str]):
    url = urlsplit(services()["storage"]["healthcheck"]["test"][-1])
    with urlopen(f"{s3['S3_ENDPOINT_URL']}{url.path}") as answer:
        assert answer.status == HTTPStatus.OK


def test_hadolint_finds_nothing_in_the_dockerfile():
    done = subprocess.run([BIN / "hadolint", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_gets_what_runs_and_nothing_else(tmp_path: Path):
    inside = {path.name for path in ROOT.iterdir() if is_let_through(path.name)}
    assert inside == {
        *("config", "docs", "mediaapp", "workers", "templates"),
        *("manage.py", "requirements.txt", "Procfile", "app.json", "LICENSE"),
    }
    for path in (".env", ".git/config", ".local/password", "tests/site.py", "workers/__pycache__/jobs.cpython-313.pyc"):
        assert not is_let_through(path)
    copy_code(tmp_path / "app")
    command = [sys.executable, "manage.py", "check", "--fail-level", "WARNING"]
    # Under their names in the network of Compose: a check asks no server.
    env = services()["web"]["environment"] | {"PATH": os.defpath, "LOCAL_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path / "app", env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_names_what_there_is_and_sets_what_app_json_sets():
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert set(re.findall(r"manage\.py (\w+)", page)) <= {*get_commands()}
    manifest = json.loads((ROOT / "app.json").read_text())
    addons = [f"{addon['plan']} --as {addon['as']}" if "as" in addon else addon["plan"] for addon in manifest["addons"]]
    assert re.findall(r"addons:create (.+)", page) == addons
    for name, dyno in manifest["formation"].items():
        assert f" {name}={dyno['quantity']}:{dyno['size']}" in page
    for name, variable in manifest["env"].items():
        assert f" {name}=" in page or not variable.get("required", True), name
