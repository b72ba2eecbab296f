"""A CSV made to hang whoever looks at it: the page of its columns reads the beginning, and the import says so."""

import io
import time
from contextlib import closing, suppress

import pytest
from django.urls import reverse

from mediaapp.uploads.mapping import catalogue_table
from tests.mappings import job_of, mapping_url, upload_csv
from workers.csvimport.preview import make_preview
from workers.csvimport.reading.errors import CsvUnreadable
from workers.csvimport.reading.inspection import inspect_file
from workers.csvimport.reading.records import read_header, read_pages
from workers.highmem.tasks import import_catalogue
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)
HEADER = b"external_id,title,creator,category,released_on,price,stock,Datum\n"
HOSTILE = {
    "blank lines": lambda: HEADER + b"\n" * 2_000_000,
    "open quotes": lambda: HEADER + b'"x\n' * 500_000,
    "a cell of 100 MB": lambda: HEADER + b'A1,"' + b"x" * 100_000_000,
    "a cell of many lines": lambda: HEADER + b'A1,"' + b"xxxxxxxxx\n" * 1_000_000,
    "long numbers": lambda: HEADER + (b"A1,T,,,1," + b" EUR" * 3000 + b"," + b"1,1" * 500 + b",1\n") * 150,
    "10,000 columns": lambda: (
        b",".join(b"name%d" % place for place in range(10_000)) + b"\n" + (b"x," * 9_999 + b"\n") * 90
    ),
}


class Counting(io.BytesIO):
    """A file that knows how much of it was read."""

    read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.read_bytes += len(data)
        return data


@pytest.mark.parametrize("trouble", HOSTILE)
def test_of_a_hostile_file_only_the_beginning_is_read_and_shown(as_alice, trouble):
    source = Counting(HOSTILE[trouble]())
    with suppress(CsvUnreadable):  # a line of a million characters is no CSV
        make_preview(source, catalogue_table(1), synonyms={}, choices={})
    assert source.read_bytes <= 1_500_000
    upload = upload_csv(as_alice, source.getvalue())
    Job.objects.update(state="needs_mapping")
    page = as_alice.get(mapping_url(upload))
    assert page.status_code == 200
    assert len(page.content) < 700_000


def test_one_line_of_100_mb_is_no_csv_and_its_import_says_so(as_alice):
    upload = upload_csv(as_alice, b"a,b\n" + b"x" * 100_000_000)
    assert upload.job.state == "queued"
    import_catalogue(str(upload.pk))
    assert (job_of(upload).state, "a line is longer" in job_of(upload).message) == ("failed", True)
    as_alice.post(reverse("change_mapping", args=[upload.pk]))
    assert "a line is longer" in as_alice.get(mapping_url(upload)).content.decode()


@pytest.mark.parametrize(("price", "mark"), [("99999999.999", "."), ("99.999.999,999", ","), ("-0.001", ".")])
def test_a_price_that_would_round_to_more_digits_than_it_may_have_is_a_row_to_mend(price, mark):
    source = io.BytesIO(f"external_id;title;price\nA1;Dune;{price}\nA2;Ubik;5\n".encode())
    seen = make_preview(source, catalogue_table(1), synonyms={}, choices={"decimal": mark})
    assert [rejection.line for rejection in seen.rejections] == [2]


@pytest.mark.parametrize("header", [HEADER, b'external_id,"title\n'])
def test_a_quote_that_opens_on_every_line_ends_look_and_import_with_words(header):
    source = io.BytesIO(header + (b"a" * 60 + b'","b\n') * 100_000)
    began = time.process_time()
    with pytest.raises(CsvUnreadable, match="quotes"):
        make_preview(source, catalogue_table(1), synonyms={}, choices={})
    file_format = inspect_file(source)
    with pytest.raises(CsvUnreadable, match="quotes"):
        _, line = read_header(source, file_format)
        with closing(read_pages(source, file_format, first_line=line)) as pages:
            list(pages)
    assert time.process_time() - began < 20  # of the processor; it took minutes
