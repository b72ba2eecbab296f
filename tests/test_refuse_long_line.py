"""A line that no table has is refused with words, and takes no memory of the import's worker."""

import io
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from tests import in_subprocess
from workers.csvimport.reading.errors import CsvUnreadable
from workers.csvimport.reading.inspection import inspect_file
from workers.highmem.tasks import import_catalogue
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)
HEADER = b"external_id,title\n"
MAX_PEAK_BYTES = 250_000_000
RUN_AND_MEASURE = (
    "from workers.highmem.tasks import import_catalogue; from workers.telemetry.meter import high_water_bytes; "
    "import_catalogue({id!r}); print(high_water_bytes('self'))"
)


def import_in_a_process(owner, name: str) -> tuple[Job, int]:
    """The ended job, and the peak memory of its process in bytes."""
    arguments = {"source": name, "table": "mediaapp.CatalogueItem"}
    job = Job.objects.create(
        task=import_catalogue.name, queue="imports", owner=owner, arguments=arguments, queued_at=timezone.now()
    )
    peak = int(in_subprocess.run(RUN_AND_MEASURE.format(id=str(job.pk))).splitlines()[-1])
    job.refresh_from_db()
    return job, peak


def media_file(name: str) -> Path:
    Path(settings.MEDIA_ROOT).mkdir(parents=True, exist_ok=True)
    return Path(settings.MEDIA_ROOT, name)


@pytest.mark.parametrize("beginning", [b"x", "🧀".encode(), b'"', "Spa\xdf".encode("cp1252")])
def test_one_line_of_1_gb_is_refused_with_words_and_without_its_memory(alice, beginning):
    with media_file("line.csv").open("wb") as file:
        file.write(HEADER + b"A1," + beginning * 100_000)
        file.truncate(1 << 30)  # NULs, which take no room on the disk
    job, peak = import_in_a_process(alice, "line.csv")
    assert (job.state, "a line is longer" in job.message) == ("failed", True)
    assert peak < MAX_PEAK_BYTES


def test_lines_almost_as_long_as_allowed_leave_the_memory_alone_and_the_other_rows_go_in(alice):
    with media_file("lines.csv").open("wb") as file:
        file.write(HEADER)
        for number in range(8):
            file.write(b"A%d,Dune\n" % number + b"B%d," % number + "🧀".encode() * 900_000 + b"\n")
    job, peak = import_in_a_process(alice, "lines.csv")
    assert (job.state, job.result["created"], job.result["rejected"]) == ("done", 8, 8)
    assert peak < MAX_PEAK_BYTES


def test_rows_of_16_000_columns_leave_the_memory_alone_and_go_in(alice):
    with media_file("wide.csv").open("wb") as file:
        file.write(HEADER.strip() + b",x" * 16_000 + b"\n")
        for number in range(600):
            file.write(b"A%d,Dune" % number + b",%02d" % (number % 90) * 16_000 + b"\n")
    job, peak = import_in_a_process(alice, "wide.csv")
    assert (job.state, job.result["created"], job.result["rejected"]) == ("done", 600, 0)
    assert peak < MAX_PEAK_BYTES


class CountingFile(io.BytesIO):
    read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.read_bytes += len(data)
        return data


@pytest.mark.parametrize("before", [b"", HEADER, HEADER + b"A1,Dune\n" * 200_000])
def test_the_reading_ends_where_the_line_is_too_long(before):
    source = CountingFile(before + b"x" * 30_000_000)
    with pytest.raises(CsvUnreadable, match="a line is longer"):
        inspect_file(source)
    assert source.read_bytes < len(before) + 7_000_000
