"""The commands of workers that the audit reads in each kind of process file."""

from tests.audited_projects import Facts, project_of
from workers.audit.process_files import read_text

COMPOSE = """
services:
  plain:
    command: celery -A shop worker -Q a,b -c 4
  listed:
    command: ["celery", "--app=shop", "worker", "--queues=a", "--concurrency", "2"]
    image: shop
  block:
    image: shop
    command:
      - python
      - -m
      - celery
      - worker
      - -Qa
    mem_limit: 1g
  folded: &folded
    command: >-
      sh -c "celery -A shop worker
      -Q a --time-limit=60"
  variable:
    command: celery worker -Q ${QUEUES:-a} -c ${NUMBER}
  beat:
    command: celery -A shop beat
"""
SYSTEMD = "[Service]\nExecStart=/srv/venv/bin/celery -A shop worker \\\n    -Q a -c 2\n"
SUPERVISOR = "[program:mails]\ndirectory=/srv\ncommand=/srv/bin/celery worker\n  -Q a -n %(program_name)s@%%h\n"
SCRIPT = "#!/bin/sh\n# celery -A shop worker -Q old\nexec env A=1 celery -A shop worker -Q a\n"


def test_each_kind_of_process_file_is_read():
    def read(text: str, kind: str, file: str = "deploy/x") -> dict:
        return {
            each.name: (each.queues(("celery",)), each.number("concurrency")) for each in read_text(text, kind, file)
        }

    assert read(COMPOSE, "compose") == {
        "plain": (("a", "b"), 4),
        "listed": (("a",), 2),
        "block": (("a",), None),
        "folded": (("a",), None),
        "variable": (None, None),
    }
    assert read(SYSTEMD, "systemd", "shop.service") == {"shop": (("a",), 2)}
    assert read(SUPERVISOR, "supervisor") == {"mails": (("a",), None)}
    assert read(SCRIPT, "script", "start.sh") == {"start": (("a",), None)}
    assert read("web: gunicorn\nw: celery -A shop worker -X b", "procfile") == {"w": (("celery",), None)}


def test_the_workers_of_another_app_do_not_count(tmp_path):
    facts = Facts("", {}, {"tick": {}}, {"Procfile": "a: celery -A shop worker\nb: celery -A blog.app worker"})
    assert [command.name for command in project_of(facts, tmp_path, "shop.celery:app").commands] == ["a"]
