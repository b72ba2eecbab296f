"""The experiments, in the order in which they run."""

from labs.faults.experiment import Experiment
from labs.faults.experiments import beat, delivery, locks, processes, publishing, rabbitmq, restarts, servers, stopping

SUBJECTS: dict[str, list[type[Experiment]]] = {
    "Delivery": delivery.FAULTS,
    "Restarts of the broker": restarts.FAULTS,
    "Stopping a worker": stopping.FAULTS,
    "Processes of the pool": processes.FAULTS,
    "Publishing": publishing.FAULTS,
    "Beat": beat.FAULTS,
    "Locks": locks.FAULTS,
    "Redis and Valkey": servers.FAULTS,
    "RabbitMQ": rabbitmq.FAULTS,
}
FAULTS = [fault for faults in SUBJECTS.values() for fault in faults]
