"""RabbitMQ through its management API. The login needs the tags `monitoring` and `policymaker`.

It uses http.client, because urllib sends the login to the target of a redirect.
"""

import json
import ssl
from base64 import b64encode
from contextlib import closing
from http.client import FORBIDDEN, SERVICE_UNAVAILABLE, UNAUTHORIZED, HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from django.conf import settings

from workers.brokers import BrokerState, BrokerUnavailableError, QueueState

TIMEOUT_SECONDS = 1  # to connect, and to answer
NODE_COLUMNS = "name,mem_used,mem_limit"
Definition = dict[str, str | int]  # of a policy
QUEUE_COLUMNS = "name,messages_ready,messages_unacknowledged,message_bytes,consumers,effective_policy_definition"


def management_url(broker_url: str) -> str:
    """The usual address: port 15672, or with TLS that of https."""
    parts = urlsplit(broker_url)
    host = parts.netloc.removesuffix(f":{parts.port}")
    return f"https://{host}" if parts.scheme == "amqps" else f"http://{host}:15672"


def management_api() -> "ManagementApi":
    url = settings.BROKER_MANAGEMENT_URL or management_url(settings.BROKER_URL)
    return ManagementApi(url, settings.BROKER_URL, settings.BROKER_CA)


class ManagementApi:
    """url: with the login. authority: a certificate in PEM; "" for the system's authorities.

    Methods raise BrokerUnavailableError.
    """

    def __init__(self, url: str, broker_url: str, authority: str = "") -> None:
        self.parts, self.authority = urlsplit(url), authority
        self.vhost = quote(unquote(urlsplit(broker_url).path[1:]) or "/", safe="")

    def read_state(self) -> BrokerState:
        """The memory is that of the fullest node."""
        nodes = [node for node in self._request(f"/api/nodes?columns={NODE_COLUMNS}") if node.get("mem_limit")]
        fullest: dict[str, int] = max(nodes, key=lambda node: node.get("mem_used", 0) / node["mem_limit"], default={})
        alarms = self._request("/api/health/checks/alarms").get("alarms", ())
        queues = self._request(f"/api/queues/{self.vhost}?columns={QUEUE_COLUMNS}")
        return {
            "memory_bytes": fullest.get("mem_used"),
            "memory_limit_bytes": fullest.get("mem_limit"),
            "alarms": sorted({alarm["resource"] for alarm in alarms}),
            "eviction_policy": "",
            "queues": {queue["name"]: _queue_state(queue) for queue in queues},
        }

    def set_policies(self, definitions: dict[str, Definition]) -> None:
        """By queue."""
        current = {policy["name"]: policy for policy in self._request(f"/api/policies/{self.vhost}")}
        for queue, definition in definitions.items():
            policy = {"pattern": f"^{queue}$", "apply-to": "queues", "definition": definition}
            existing = current.get(queue, {})
            if existing | policy != existing:
                self._request(f"/api/policies/{self.vhost}/{quote(queue, safe='')}", "PUT", policy)

    def _request(self, path: str, method: str = "GET", body: object = None) -> Any:
        parts = self.parts
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}", "Content-Type": "application/json"}
        try:
            with closing(self._connect(parts.hostname or "", parts.port)) as connection:
                connection.request(method, parts.path.rstrip("/") + path, json.dumps(body) if body else None, headers)
                answer = connection.getresponse()
                text = answer.read()
            place = path.partition("?")[0]
            if answer.status in (UNAUTHORIZED, FORBIDDEN):
                raise BrokerUnavailableError(f"RabbitMQ's management API refuses our login at {place}.")
            # An alarm is a 503 with the reasons.
            if answer.status >= 400 and answer.status != SERVICE_UNAVAILABLE:
                raise BrokerUnavailableError(f"RabbitMQ's management API answered {answer.status} at {place}.")
            return json.loads(text) if text else None
        except (OSError, HTTPException, ValueError) as error:
            raise BrokerUnavailableError(f"RabbitMQ's management API did not answer: {error!r}") from error

    def _connect(self, host: str, port: int | None) -> HTTPConnection:
        if self.parts.scheme != "https":
            return HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        tls = ssl.create_default_context(cadata=self.authority or None)
        return HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=tls)


def _queue_state(queue: dict[str, Any]) -> QueueState:
    """A queue that was declared a moment ago has no figures."""
    return {
        "ready": queue.get("messages_ready", 0),
        "unacked": queue.get("messages_unacknowledged"),
        "consumers": queue.get("consumers"),
        "size_bytes": queue.get("message_bytes"),
        "max_messages": (queue.get("effective_policy_definition") or {}).get("max-length"),
    }
