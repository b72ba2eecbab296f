"""The experiments, in the order in which they run."""

from labs.faults.experiments import delivery
from labs.faults.fault import Fault

SUBJECTS: dict[str, list[type[Fault]]] = {
    "Delivery": delivery.FAULTS,
}
FAULTS = [fault for faults in SUBJECTS.values() for fault in faults]
