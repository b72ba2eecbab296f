from workers.capacity.bill import bill_items
from workers.capacity.prices import price_list
from workers.capacity.run_memory import MB
from workers.practices import memory
from workers.queues import QueueKind, table

REPORT = "workers.highmem.tasks.report_on_rows"
LARGEST_REPORT = 1900 * MB


def test_the_largest_report_still_fits():
    """A report of 1,900 MB fits beside everything else that its worker does at the same time."""
    worker = table().consumers[table().queue_of(REPORT)]
    limit = memory.max_bytes_per_run(worker)
    assert limit >= LARGEST_REPORT, f"On the {worker} worker a run may have {limit // MB} MB."


def test_reports_stay_among_the_hungry():
    """Reports are in a hungry queue, on a worker on which nobody waits for a mail."""
    queue = table().queues[table().queue_of(REPORT)]
    worker = next(each for each in table().workers if queue in each.queues)
    assert queue.kind == QueueKind.HUNGRY, f"The queue {queue.name} is {queue.kind}."
    assert not worker.is_time_sensitive, f"The {worker.name} worker has a time-sensitive queue too."


def test_the_bill_does_not_grow():
    """The large dynos cost what two of performance-m cost, as before: one for videos, one for hungry work."""
    cost = sum(item.cost or 0 for item in bill_items() if item.size.startswith("performance"))
    before = 2 * price_list().sizes["performance-m"].price
    assert cost <= before, f"They cost {cost:g} USD a month now, and {before:g} before."
