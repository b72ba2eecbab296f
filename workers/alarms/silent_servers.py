"""Which server is away, by the reason of a finding that could not be measured: one outage makes several unknown."""

from workers.brokers.connection import is_amqp

# By what a finding's reason says.
NAMES = {
    "The broker did not answer": "the broker",
    "The cache did not answer": "the cache",
    "The server of the locks did not answer": "the server of the locks",
    "The database did not answer": "the database",
    "RabbitMQ's management API did not answer": "RabbitMQ's management API",
}


def find_silent_server(reason: str) -> str:
    """As within a sentence. Empty if the reason names none."""
    name = next((name for said, name in NAMES.items() if said in reason), "")
    return "RabbitMQ" if name == "the broker" and is_amqp() else name
