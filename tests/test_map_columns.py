"""Somebody says which column of a CSV is which field, and how its numbers and dates are written."""

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from mediaapp.models import ColumnMapping
from mediaapp.uploads.mapping import catalogue_table
from tests.mappings import confirm, form_of, job_of, page_of, send
from workers import jobs
from workers.brokers.connection import count_ready
from workers.csvimport.reading.dialect import dialect_from_arguments
from workers.highmem.tasks import import_catalogue
from workers.models import Job
from workers.reports.rows import rows_from_file

pytestmark = pytest.mark.django_db(transaction=True)
GERMAN = "Artikelnummer;Titel;Autor;Preis;Bestand;Datum\n" + "".join(
    f"A{row};Größe {row};Müller;1.234,56;1.000;31.12.2024\n" for row in range(30)
)
DAYS = "external_id,title,released_on\nA1,Dune,03/04/2024\nA2,Ubik,01/02/2024\n"


def test_a_file_with_other_names_waits_and_no_broker_knows_of_it(as_alice, broker):
    upload = send(as_alice, GERMAN)
    assert (upload.job.state, upload.job.dispatched_at, broker.llen("imports")) == ("needs_mapping", None, 0)
    assert as_alice.get(reverse("job", args=[upload.pk])).url == page_of(upload)
    told = as_alice.get(reverse("progress_json", args=[upload.pk])).json()
    assert (told["state"], told["message"], told["queue_position"]) == (
        "needs_mapping",
        jobs.user_messages.CONFIRM_MAPPING,
        None,
    )


def test_a_file_that_says_all_starts_at_once(as_alice, broker):
    upload = send(as_alice, "external_id;Title;Price;remark\nA1;Dune;9,90;x\n")
    assert (upload.job.state, broker.llen("imports")) == ("queued", 1)
    assert upload.job.arguments["dialect"]["decimal"] == ","


def test_the_page_shows_the_first_rows_and_what_we_take_them_for(as_alice):
    upload = send(as_alice, GERMAN.encode("windows-1252"))
    context = as_alice.get(page_of(upload)).context
    seen = context["preview"]
    assert seen.columns == {"external_id": 0, "title": 1, "creator": 2, "price": 3, "stock": 4, "released_on": 5}
    dialect = seen.dialect
    assert (dialect.encoding, dialect.delimiter, dialect.decimal, dialect.dates) == ("windows-1252", ";", ",", "dmy")
    assert (len(context["rows"]), seen.record_count, seen.rejections) == (20, 30, [])
    assert context["rows"][3][:2] == ["A3", "Größe 3"]


def test_confirmed_it_is_imported_as_it_was_shown(as_alice, alice, broker):
    upload = send(as_alice, GERMAN.encode("windows-1252"))
    assert confirm(as_alice, upload).url == reverse("job", args=[upload.pk])
    assert (job_of(upload).state, broker.llen("imports")) == ("queued", 1)
    import_catalogue(str(upload.pk))
    assert job_of(upload).state == "done"
    item = alice.catalogue.get(external_id="A7")
    assert (item.title, item.creator, str(item.price), item.stock) == ("Größe 7", "Müller", "1234.56", 1000)
    assert str(item.released_on) == "2024-12-31"
    page = as_alice.get(reverse("job", args=[upload.pk])).content.decode()
    assert "with decimal commas, with dates such as 31.12.2026" in page


def test_a_second_confirmation_is_harmless(as_alice, broker):
    upload = send(as_alice, GERMAN)
    form = form_of(as_alice, upload)
    for _ in range(2):
        assert as_alice.post(reverse("confirm_mapping", args=[upload.pk]), form).status_code == 302
    assert (job_of(upload).state, broker.llen("imports"), ColumnMapping.objects.count()) == ("queued", 1, 1)


def test_the_next_file_with_the_same_columns_in_any_order_starts_at_once(as_alice, as_bob, broker):
    confirm(as_alice, send(as_alice, GERMAN))
    other = "Titel;Artikelnummer;Autor;Preis;Bestand;Datum\nDune;A1;Herbert;9,90;1;03.04.2024\n"
    again = send(as_alice, other)
    assert (again.job.state, again.job.arguments["columns"]["title"]) == ("queued", 0)
    assert send(as_bob, other).job.state == "needs_mapping"


def test_the_rows_to_mend_come_back_without_a_question(as_alice, alice):
    upload = send(as_alice, GERMAN + "B1;Nachtzüge;Lind;auf Anfrage;2;01.02.2024\n")
    confirm(as_alice, upload)
    import_catalogue(str(upload.pk))
    assert job_of(upload).result["rejected"] == 1
    given = as_alice.get(reverse("rejected_rows", args=[upload.pk])).getvalue().decode()
    mended = send(as_alice, given.replace("auf Anfrage;2;", "12,50;2;"))
    assert mended.job.state == "queued"
    import_catalogue(str(mended.pk))
    item = alice.catalogue.get(external_id="B1")
    assert (item.title, str(item.price), str(item.released_on)) == ("Nachtzüge", "12.50", "2024-02-01")


def test_a_report_on_a_mapped_file_reads_it_as_its_import_did(as_alice, alice):
    upload = send(as_alice, GERMAN)
    confirm(as_alice, upload)
    with default_storage.open(upload.file) as file:
        told = job_of(upload).arguments
        rows = rows_from_file(
            file, catalogue_table(alice.pk), lambda: None, dialect_from_arguments(told), told["columns"]
        )
        read = b"".join(chunk for chunk, _ in rows.chunks).decode()
    assert read.startswith('"A0","Größe 0","Müller","2024-12-31","1234.56","1000"\n')


def test_days_that_may_be_months_wait_for_a_word_and_are_remembered(as_alice, alice):
    upload = send(as_alice, DAYS)
    assert upload.job.state == "needs_mapping"
    page = as_alice.get(page_of(upload))
    assert page.context["preview"].doubts == {"dates"}
    assert "Is 03/04 the third of April" in page.content.decode()
    assert b"Nothing has started yet" in confirm(as_alice, upload).content
    assert job_of(upload).state == "needs_mapping"
    confirm(as_alice, upload, dates="mdy")
    import_catalogue(str(upload.pk))
    assert str(alice.catalogue.get(external_id="A1").released_on) == "2024-03-04"
    assert send(as_alice, DAYS).job.arguments["dialect"]["dates"] == "mdy"


def test_what_the_file_itself_says_goes_before_what_is_remembered(as_alice):
    confirm(as_alice, send(as_alice, DAYS), dates="mdy")
    assert send(as_alice, DAYS + "A3,Solaris,31/12/2024\n").job.arguments["dialect"]["dates"] == "dmy"


def test_numbers_that_may_be_thousands_wait_for_a_word(as_alice):
    upload = send(as_alice, "external_id,title,price\nA1,Dune,1.250\n")
    assert as_alice.get(page_of(upload)).context["preview"].doubts == {"decimal"}
    confirm(as_alice, upload, decimal=",")
    assert job_of(upload).arguments["dialect"]["decimal"] == ","


def test_another_choice_shows_the_same_page_anew_and_changes_nothing(as_alice):
    upload = send(as_alice, GERMAN)
    page = as_alice.post(page_of(upload), form_of(as_alice, upload, decimal="."))
    reasons = {reject.reason for reject in page.context["preview"].rejections}
    assert reasons == {'Preis: "1.234,56" is not a number'}
    assert "As it stands, nothing of it would go in" in page.content.decode()
    assert (job_of(upload).state, job_of(upload).arguments["dialect"]) == ("needs_mapping", None)


def test_columns_chosen_by_hand_are_taken_and_those_taken_away_are_not(as_alice, alice):
    upload = send(as_alice, "foo,bar,price\nA1,Dune,9.90\n")
    assert [field.name for field in as_alice.get(page_of(upload)).context["preview"].missing] == [
        "external_id",
        "title",
    ]
    more = {"column-external_id": "0", "column-title": "1", "column-price": ""}
    confirm(as_alice, upload, **more)
    import_catalogue(str(upload.pk))
    item = alice.catalogue.get()
    assert (item.external_id, item.title, item.price) == ("A1", "Dune", None)
    assert job_of(upload).result["ignored_columns"] == ["price"]


def test_with_another_delimiter_the_columns_are_guessed_anew(as_alice):
    upload = send(as_alice, "Titel;id,x\nDune;A1,1\nUbik;A2\n")
    assert form_of(as_alice, upload)["column-title"] == 0
    page = as_alice.post(page_of(upload), form_of(as_alice, upload, delimiter=","))
    assert (page.context["preview"].names, page.context["preview"].columns) == (["Titel;id", "x"], {"title": 0})


@pytest.mark.parametrize(
    "more",
    [
        {"encoding": "rot13"}, {"delimiter": "xx"}, {"decimal": "?"}, {"column-title": "-1"}, {"column-title": "99"},
        {"column-title": "²"}, {"column-title": "1" * 5000}, {"digest": "\0"}, {"encoding": "utf-16"}, {"quote": "'"},
    ],
)  # fmt: skip
def test_a_choice_that_nobody_offered_does_no_harm(as_alice, more):
    upload = send(as_alice, GERMAN)
    assert as_alice.post(page_of(upload), form_of(as_alice, upload) | more).status_code == 200
    assert job_of(upload).state == "needs_mapping"


def test_a_file_in_another_encoding_waits_with_our_best_guess(as_alice, alice):
    titles = ["Война и мир", "Преступление и наказание", "Мастер и Маргарита", "Анна Каренина"]
    text = "external_id,title\n" + "".join(f"A{row},{titles[row % 4]}\n" for row in range(40))
    upload = send(as_alice, text.encode("cp1251"))
    context = as_alice.get(page_of(upload)).context
    assert (context["preview"].dialect.encoding, context["preview"].doubts) == ("cp1251", {"encoding"})
    confirm(as_alice, upload, encoding="cp1251")
    import_catalogue(str(upload.pk))
    assert alice.catalogue.get(external_id="A2").title == titles[2]


@pytest.mark.parametrize("title", ["„Spaß“", "„Groß“ über Bäume"])
def test_letters_of_two_encodings_wait_for_a_word(as_alice, alice, title):
    """The end of „Spaß“ in Windows-1252 is a letter of UTF-8 too."""
    upload = send(as_alice, ("external_id,title\n" + f"A1,{title}\n" * 30).encode("windows-1252"))
    page = as_alice.get(page_of(upload))
    assert page.context["preview"].doubts == {"encoding"}
    assert "The letters do not tell for sure" in page.content.decode()
    confirm(as_alice, upload, encoding="windows-1252")
    import_catalogue(str(upload.pk))
    assert alice.catalogue.get().title == title


@pytest.mark.parametrize("letters", [b"T\xfcr und Tor " * 11 + b"Spa\xdf\x93", "ä".encode() * 20 + b"\xe4"])
def test_a_few_letters_of_another_encoding_are_no_reason_to_ask(as_alice, letters):
    upload = send(as_alice, b"external_id,title\n" + b"A1," + letters + b"\n")
    assert upload.job.state == "queued"


def test_cancelled_while_it_waits_it_is_asked_for_again_and_not_imported_by_a_guess(as_alice, broker):
    upload = send(as_alice, DAYS)
    as_alice.post(reverse("cancel", args=[upload.pk]))
    assert job_of(upload).state == "cancelled"
    as_alice.post(reverse("retry", args=[upload.pk]))
    assert (job_of(upload).state, broker.llen("imports")) == ("needs_mapping", 0)


def test_it_waits_for_days_and_the_sweeps_leave_it_alone(as_alice, broker):
    upload = send(as_alice, GERMAN)
    Job.objects.update(queued_at="2026-01-01T00:00Z")
    assert jobs.sweep() == 0
    assert (job_of(upload).state, broker.llen("imports")) == ("needs_mapping", 0)
    assert count_ready("imports") == 0
    page = as_alice.get("/")
    assert page.context["poll_after"] is None
    assert "Waits for you" in page.content.decode()


def test_nothing_of_it_exists_for_somebody_else_and_staff_may_look_only(as_alice, as_bob, as_stella, broker):
    upload = send(as_alice, GERMAN)
    form = form_of(as_alice, upload)
    pages = [page_of(upload), *(reverse(name, args=[upload.pk]) for name in ("confirm_mapping", "change_mapping"))]
    assert [as_bob.post(page, form).status_code for page in pages] == [404, 404, 404]
    assert as_bob.get(page_of(upload)).status_code == 404
    assert [as_stella.post(page, form).status_code for page in pages] == [200, 404, 404]
    assert "Start the import" not in as_stella.get(page_of(upload)).content.decode()
    assert (job_of(upload).state, broker.llen("imports")) == ("needs_mapping", 0)


def test_a_foreign_form_confirms_nothing(as_alice, alice):
    upload = send(as_alice, GERMAN)
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(alice)
    assert careful.post(reverse("confirm_mapping", args=[upload.pk]), form_of(as_alice, upload)).status_code == 403
    assert careful.get(reverse("confirm_mapping", args=[upload.pk])).status_code == 405


def test_a_file_that_is_gone_says_so(as_alice):
    upload = send(as_alice, GERMAN)
    default_storage.delete(upload.file)
    assert "The file is no longer there" in as_alice.get(page_of(upload)).content.decode()
