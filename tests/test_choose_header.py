"""A file names its columns in any of its first lines, or in none: the site guesses the line, and its owner chooses."""

import io
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.urls import reverse

from mediaapp.uploads.mapping import SYNONYMS, catalogue_table, guess_import_arguments
from tests.csv_imports import ImportRun
from tests.mappings import confirm_mapping, job_of, mapping_form, mapping_url, upload_csv
from workers.csvimport.preview import make_preview
from workers.csvimport.reading.table_start import TableStart, start_from_arguments
from workers.highmem.tasks import import_catalogue
from workers.models import Job
from workers.reports.rows import open_rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker")]
ROWS = "A1;Dune;9,90;31.12.2024\nA2;Ubik;8,50;30.12.2024\n"
NO_NAMES = {"column-external_id": "0", "column-title": "1", "column-price": "2", "column-released_on": "3"}


def start_of(text: str) -> TableStart:
    return make_preview(io.BytesIO(text.encode()), catalogue_table(1), synonyms=SYNONYMS, choices={}).start


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("external_id;title\nA1;Dune\n", (1, True)),
        ("\n\nexternal_id;title\nA1;Dune\n", (3, True)),
        ("sep=;\nexternal_id;title\nA1;Dune\n", (2, True)),
        ('"sep=,"\r\nexternal_id,title\r\nA1,Dune\r\n', (2, True)),
        ("Our books\nexternal_id;title\nA1;Dune\n", (2, True)),
        ("Our books;;\n;;\nKood;Pealkiri;Hind\nA1;Dune;9.90\n", (3, True)),
        ("# a comment\n#\nKood;Pealkiri;Hind\nA1;Dune;9.90\n", (3, True)),
        ("# one\n# two\n# three\nKood;Pealkiri;Hind\nA1;Dune;9.90\n", (4, True)),
        ("#external_id;title\nA1;Dune\nA2;Ubik\n", (1, True)),
        ("# external_id;title\nexternal_id;title\nA1;Dune\n", (2, True)),
        ("Kood;Pealkiri\nA1;Dune\n", (1, True)),
        ("Kood;2023;2024\nA1;5;7\n", (1, True)),
        (ROWS, (1, False)),
        ("sep=;\n" + ROWS, (2, False)),
        ("# no names\n" + ROWS, (2, False)),
        ("Dune;Herbert\nUbik;Dick\n", (1, True)),  # nothing tells that these are no names
        ("5;7\n6;8\n", (1, False)),
        ("external_id;title\n1;Kood\n", (1, True)),
    ],
)
def test_the_line_of_the_names_is_guessed(text, start):
    assert start_of(text) == TableStart(*start)


def test_a_file_with_names_below_a_title_starts_at_once(as_alice, alice):
    upload = upload_csv(as_alice, "sep=;\nOur books\n\nexternal_id;title;price\nA1;Dune, or Arrakis;9,90\n")
    assert upload.job.state == "queued"
    import_catalogue(str(upload.pk))
    assert [(item.external_id, item.title, str(item.price)) for item in alice.catalogue.all()] == [
        ("A1", "Dune, or Arrakis", "9.90")
    ]


def test_of_a_file_without_names_the_first_row_goes_in_too(as_alice, alice):
    upload = upload_csv(as_alice, "sep=;\n" + ROWS)
    assert upload.job.state == "needs_mapping"
    context = as_alice.get(mapping_url(upload)).context
    assert context["options"][1] == (1, "column 2: Dune")
    assert confirm_mapping(as_alice, upload, **NO_NAMES).status_code == 302
    import_catalogue(str(upload.pk))
    assert (job_of(upload).state, job_of(upload).result["rejected"]) == ("done", 0)
    assert sorted(item.title for item in alice.catalogue.all()) == ["Dune", "Ubik"]
    path = Path(default_storage.path(upload.file))
    with open_rows(catalogue_table(alice.pk), path, job_of(upload).arguments, lambda *_: None) as rows:
        assert b"".join(chunk for chunk, _ in rows.chunks).startswith(b'"A1","Dune"')


def test_the_next_file_without_names_waits_with_the_same_columns_chosen(as_alice):
    confirm_mapping(as_alice, upload_csv(as_alice, ROWS), **NO_NAMES)
    again = upload_csv(as_alice, "B1;Emma;1,50;01.12.2024\n" + ROWS)
    assert again.job.state == "needs_mapping"
    assert as_alice.get(mapping_url(again)).context["preview"].columns == {
        "external_id": 0, "title": 1, "price": 2, "released_on": 3
    }  # fmt: skip


def test_its_rejected_rows_come_back_with_names_and_go_in_at_once(as_alice, alice):
    upload = upload_csv(as_alice, ROWS + "A3;Emma;soon;29.12.2024\n")
    confirm_mapping(as_alice, upload, **NO_NAMES)
    import_catalogue(str(upload.pk))
    given = as_alice.get(reverse("rejected_rows", args=[upload.pk])).getvalue().decode()
    assert given.startswith("\ufeffcolumn 1;column 2;column 3;column 4;line in your file;")
    mended = upload_csv(as_alice, given.replace("soon", "1,50"))
    assert mended.job.state == "queued"
    import_catalogue(str(mended.pk))
    assert str(alice.catalogue.get(external_id="A3").price) == "1.50"


@pytest.mark.parametrize(
    ("choice", "titles"), [("none", ["Dune", "Title", "Ubik"]), ("1", ["Dune", "Ubik"]), ("2", ["Ubik"])]
)
def test_the_owner_s_choice_counts_and_not_the_guess(as_alice, alice, choice, titles):
    upload = upload_csv(as_alice, "Id;Title;x\nA1;Dune;x\nA2;Ubik;x\n")
    Job.objects.update(state="needs_mapping")
    page = as_alice.post(mapping_url(upload), mapping_form(as_alice, upload, start=choice))
    assert page.context["start"] == choice
    form = {"start": choice, "digest": page.context["digest"], "column-external_id": "0", "column-title": "1"}
    assert as_alice.post(reverse("confirm_mapping", args=[upload.pk]), form).status_code == 302
    import_catalogue(str(upload.pk))
    assert sorted(item.title for item in alice.catalogue.all()) == titles
    as_alice.post(reverse("change_mapping", args=[upload.pk]))
    assert as_alice.get(mapping_url(upload)).context["start"] == choice


@pytest.mark.parametrize("choice", ["7", "-1", "0", "x", "999999999999", "¹"])
def test_a_line_that_the_page_does_not_offer_is_a_guess(as_alice, choice):
    upload = upload_csv(as_alice, "Kood;Pealkiri\nA1;Dune\n")
    page = as_alice.post(mapping_url(upload), mapping_form(as_alice, upload, start=choice))
    assert (page.status_code, page.context["preview"].start) == (200, TableStart(1))


def test_an_import_that_is_stopped_goes_on_below_the_same_line(alice):
    data = "# a comment\n" + "".join(f"A{number};Dune\n" for number in range(20))
    stopped = ImportRun(catalogue_table(alice.pk), data, columns={"external_id": 0, "title": 1})

    def stop(done, *_, **__):
        if done >= 10:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        stopped.run(report=stop)
    assert stopped.run()["created"] == 20


def test_the_mapping_of_an_older_release_is_of_a_table_with_its_names_on_top(alice):
    assert start_from_arguments({"dialect": None}) is None
    assert start_from_arguments({"dialect": None, "columns": {"title": 1}}) == TableStart(1)
    older = ImportRun(catalogue_table(alice.pk), ROWS, columns={"external_id": 0, "title": 1}, start=TableStart())
    assert older.run()["created"] == 1


def test_a_checkpoint_has_nothing_in_its_shape_that_the_release_before_does_not_know(alice):
    whole = ImportRun(catalogue_table(alice.pk), "external_id,title\nA1,Dune\n")
    whole.run()
    assert whole.checkpoint["shape"].keys() == {"encoding", "delimiter", "quote", "decimal", "dates", "records"}
    del whole.checkpoint["start"]
    assert whole.run()["created"] == 1


def test_a_file_that_starts_at_once_stores_where_its_table_begins(alice):
    arguments = guess_import_arguments(alice.pk, io.BytesIO(b"Books\nexternal_id,title\nA1,Dune\n"))
    assert arguments["start"] == {"line": 2, "has_header": True}
