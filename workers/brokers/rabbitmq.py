"""RabbitMQ through its management API: its memory, its alarms, its queues, and their policies.

Memory and counts are those of its last collection, 5 to 10 s old; alarms are live
(docs/facts/servers.md#management-api). The login needs the tag `monitoring`, and `policymaker` to set a policy.
http.client and not urllib, which would take the login along to wherever an answer redirects.
"""

import json
import ssl
from base64 import b64encode
from contextlib import closing
from http.client import FORBIDDEN, SERVICE_UNAVAILABLE, UNAUTHORIZED, HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from workers.brokers import NoAnswer, Standing, State

TIMEOUT = 1  # seconds for each of: to connect, to answer
NODE = "name,mem_used,mem_limit"
QUEUE = "name,messages_ready,messages_unacknowledged,message_bytes,consumers,effective_policy_definition"


def management_url(broker_url: str) -> str:
    """Where the management API of a broker stands by custom: port 15672, or with TLS the plain https address."""
    parts = urlsplit(broker_url)
    host = parts.netloc.removesuffix(f":{parts.port}")
    return f"https://{host}" if parts.scheme == "amqps" else f"http://{host}:15672"


class Management:
    """The API at `url` (with its login), for the virtual host of `broker_url`. Its methods raise NoAnswer.

    authority: the certificate, in PEM, by which an https one is verified; empty for the system's authorities.
    """

    def __init__(self, url: str, broker_url: str, authority: str = "") -> None:
        self.parts, self.authority = urlsplit(url), authority
        self.vhost = quote(unquote(urlsplit(broker_url).path[1:]) or "/", safe="")

    def state(self) -> State:
        """What the fullest node and the queues of the virtual host say."""
        nodes = [node for node in self._ask(f"/api/nodes?columns={NODE}") if node.get("mem_limit")]
        fullest: dict[str, int] = max(nodes, key=lambda node: node.get("mem_used", 0) / node["mem_limit"], default={})
        queues = self._ask(f"/api/queues/{self.vhost}?columns={QUEUE}")
        return {
            "used": fullest.get("mem_used"),
            "limit": fullest.get("mem_limit"),
            "alarms": sorted({alarm["resource"] for alarm in self._ask("/api/health/checks/alarms").get("alarms", ())}),
            "eviction": "",
            "queues": {queue["name"]: _standing(queue) for queue in queues},
        }

    def limit(self, lengths: dict[str, int]) -> None:
        """Makes each queue refuse what comes beyond its length, so that its publisher is told."""
        kept = {policy["name"]: policy for policy in self._ask(f"/api/policies/{self.vhost}")}
        for queue, length in lengths.items():
            policy = {
                "pattern": f"^{queue}$",
                "apply-to": "queues",
                "definition": {"max-length": length, "overflow": "reject-publish"},
            }
            have = kept.get(queue, {})
            if have | policy != have:
                self._ask(f"/api/policies/{self.vhost}/{quote(queue, safe='')}", "PUT", policy)

    def _ask(self, path: str, method: str = "GET", body: object = None) -> Any:
        parts = self.parts
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}", "Content-Type": "application/json"}
        try:
            with closing(self._connect(parts.hostname or "", parts.port)) as connection:
                connection.request(method, parts.path.rstrip("/") + path, json.dumps(body) if body else None, headers)
                answer = connection.getresponse()
                text = answer.read()
            if answer.status in (UNAUTHORIZED, FORBIDDEN):
                raise NoAnswer(f"RabbitMQ's management API refuses our login at {path.partition('?')[0]}.")
            # An alarm is told with a 503 and the reasons.
            if answer.status >= 400 and answer.status != SERVICE_UNAVAILABLE:
                raise NoAnswer(f"RabbitMQ's management API answered {answer.status} at {path.partition('?')[0]}.")
            return json.loads(text) if text else None
        except (OSError, HTTPException, ValueError) as error:
            raise NoAnswer(f"RabbitMQ's management API did not answer: {error!r}") from error

    def _connect(self, host: str, port: int | None) -> HTTPConnection:
        if self.parts.scheme != "https":
            return HTTPConnection(host, port, timeout=TIMEOUT)
        tls = ssl.create_default_context(cadata=self.authority or None)
        return HTTPSConnection(host, port, timeout=TIMEOUT, context=tls)


def _standing(queue: dict[str, Any]) -> Standing:
    """A queue of the API. Of one that was just declared it has no figures yet."""
    return {
        "waiting": queue.get("messages_ready", 0),
        "unacked": queue.get("messages_unacknowledged"),
        "consumers": queue.get("consumers"),
        "size": queue.get("message_bytes"),
        "limit": (queue.get("effective_policy_definition") or {}).get("max-length"),
    }
