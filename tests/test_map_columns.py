"""An owner maps the columns of a CSV to fields, and chooses how its numbers and dates are read."""

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from mediaapp.models import ColumnMapping
from mediaapp.uploads.mapping import catalogue_table
from tests.mappings import confirm_mapping, job_of, mapping_form, mapping_url, upload_csv
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


def test_a_file_with_unknown_columns_waits_and_is_not_published(as_alice, broker):
    upload = upload_csv(as_alice, GERMAN)
    assert (upload.job.state, upload.job.dispatched_at, broker.llen("imports")) == ("needs_mapping", None, 0)
    assert as_alice.get(reverse("job", args=[upload.pk])).url == mapping_url(upload)
    state = as_alice.get(reverse("progress_json", args=[upload.pk])).json()
    assert (state["state"], state["message"], state["queue_position"]) == (
        "needs_mapping",
        jobs.user_messages.CONFIRM_MAPPING,
        None,
    )


def test_a_file_with_known_columns_starts_at_once(as_alice, broker):
    upload = upload_csv(as_alice, "external_id;Title;Price;remark\nA1;Dune;9,90;x\n")
    assert (upload.job.state, broker.llen("imports")) == ("queued", 1)
    assert upload.job.arguments["dialect"]["decimal"] == ","


def test_the_page_shows_the_first_rows_and_the_guessed_mapping(as_alice):
    upload = upload_csv(as_alice, GERMAN.encode("windows-1252"))
    context = as_alice.get(mapping_url(upload)).context
    seen = context["preview"]
    assert seen.columns == {"external_id": 0, "title": 1, "creator": 2, "price": 3, "stock": 4, "released_on": 5}
    dialect = seen.dialect
    assert (dialect.encoding, dialect.delimiter, dialect.decimal, dialect.dates) == ("windows-1252", ";", ",", "dmy")
    assert (len(context["rows"]), seen.record_count, seen.rejections) == (20, 30, [])
    assert context["rows"][3][:2] == ["A3", "Größe 3"]


def test_a_confirmed_file_is_imported_as_previewed(as_alice, alice, broker):
    upload = upload_csv(as_alice, GERMAN.encode("windows-1252"))
    assert confirm_mapping(as_alice, upload).url == reverse("job", args=[upload.pk])
    assert (job_of(upload).state, broker.llen("imports")) == ("queued", 1)
    import_catalogue(str(upload.pk))
    assert job_of(upload).state == "done"
    item = alice.catalogue.get(external_id="A7")
    assert (item.title, item.creator, str(item.price), item.stock) == ("Größe 7", "Müller", "1234.56", 1000)
    assert str(item.released_on) == "2024-12-31"
    page = as_alice.get(reverse("job", args=[upload.pk])).content.decode()
    assert "with decimal commas, with dates such as 31.12.2026" in page


def test_a_second_confirmation_changes_nothing(as_alice, broker):
    upload = upload_csv(as_alice, GERMAN)
    form = mapping_form(as_alice, upload)
    for _ in range(2):
        assert as_alice.post(reverse("confirm_mapping", args=[upload.pk]), form).status_code == 302
    assert (job_of(upload).state, broker.llen("imports"), ColumnMapping.objects.count()) == ("queued", 1, 1)


def test_a_confirmation_of_a_file_that_is_gone_starts_nothing(as_alice, broker):
    upload = upload_csv(as_alice, GERMAN)
    form = mapping_form(as_alice, upload)
    default_storage.delete(upload.file)
    answer = as_alice.post(reverse("confirm_mapping", args=[upload.pk]), form)
    assert "The file is no longer there" in answer.content.decode()
    assert (job_of(upload).state, broker.llen("imports")) == ("needs_mapping", 0)


def test_the_next_file_with_the_same_columns_in_any_order_starts_at_once(as_alice, as_bob, broker):
    confirm_mapping(as_alice, upload_csv(as_alice, GERMAN))
    other = "Titel;Artikelnummer;Autor;Preis;Bestand;Datum\nDune;A1;Herbert;9,90;1;03.04.2024\n"
    again = upload_csv(as_alice, other)
    assert (again.job.state, again.job.arguments["columns"]["title"]) == ("queued", 0)
    assert upload_csv(as_bob, other).job.state == "needs_mapping"


def test_corrected_rows_are_imported_without_a_question(as_alice, alice):
    upload = upload_csv(as_alice, GERMAN + "B1;Nachtzüge;Lind;auf Anfrage;2;01.02.2024\n")
    confirm_mapping(as_alice, upload)
    import_catalogue(str(upload.pk))
    assert job_of(upload).result["rejected"] == 1
    given = as_alice.get(reverse("rejected_rows", args=[upload.pk])).getvalue().decode()
    mended = upload_csv(as_alice, given.replace("auf Anfrage;2;", "12,50;2;"))
    assert mended.job.state == "queued"
    import_catalogue(str(mended.pk))
    item = alice.catalogue.get(external_id="B1")
    assert (item.title, str(item.price), str(item.released_on)) == ("Nachtzüge", "12.50", "2024-02-01")


def test_a_report_on_a_mapped_file_uses_the_mapping_of_its_import(as_alice, alice):
    upload = upload_csv(as_alice, GERMAN)
    confirm_mapping(as_alice, upload)
    with default_storage.open(upload.file) as file:
        arguments = job_of(upload).arguments
        rows = rows_from_file(
            file, catalogue_table(alice.pk), lambda: None, dialect_from_arguments(arguments), arguments["columns"]
        )
        read = b"".join(chunk for chunk, _ in rows.chunks).decode()
    assert read.startswith('"A0","Größe 0","Müller","2024-12-31","1234.56","1000"\n')


def test_an_ambiguous_date_order_is_asked_for_once(as_alice, alice):
    upload = upload_csv(as_alice, DAYS)
    assert upload.job.state == "needs_mapping"
    page = as_alice.get(mapping_url(upload))
    assert page.context["preview"].doubts == {"dates"}
    assert 'id="dates-doubt"' in page.content.decode()
    assert confirm_mapping(as_alice, upload).status_code == 200  # the page again
    assert job_of(upload).state == "needs_mapping"
    confirm_mapping(as_alice, upload, dates="mdy")
    import_catalogue(str(upload.pk))
    assert str(alice.catalogue.get(external_id="A1").released_on) == "2024-03-04"
    assert upload_csv(as_alice, DAYS).job.arguments["dialect"]["dates"] == "mdy"


def test_an_unambiguous_date_overrides_the_saved_order(as_alice):
    confirm_mapping(as_alice, upload_csv(as_alice, DAYS), dates="mdy")
    assert upload_csv(as_alice, DAYS + "A3,Solaris,31/12/2024\n").job.arguments["dialect"]["dates"] == "dmy"


def test_an_ambiguous_decimal_mark_is_asked_for(as_alice):
    upload = upload_csv(as_alice, "external_id,title,price\nA1,Dune,1.250\n")
    assert as_alice.get(mapping_url(upload)).context["preview"].doubts == {"decimal"}
    confirm_mapping(as_alice, upload, decimal=",")
    assert job_of(upload).arguments["dialect"]["decimal"] == ","


def test_another_choice_is_previewed_and_not_saved(as_alice):
    upload = upload_csv(as_alice, GERMAN)
    page = as_alice.post(mapping_url(upload), mapping_form(as_alice, upload, decimal="."))
    reasons = {reject.reason for reject in page.context["preview"].rejections}
    assert reasons == {'Preis: "1.234,56" is not a number'}
    assert page.context["accepted"] == 0
    assert (job_of(upload).state, job_of(upload).arguments["dialect"]) == ("needs_mapping", None)


def test_the_import_uses_chosen_columns_and_ignores_removed_ones(as_alice, alice):
    upload = upload_csv(as_alice, "foo,bar,price\nA1,Dune,9.90\n")
    assert [field.name for field in as_alice.get(mapping_url(upload)).context["preview"].missing] == [
        "external_id",
        "title",
    ]
    more = {"column-external_id": "0", "column-title": "1", "column-price": ""}
    confirm_mapping(as_alice, upload, **more)
    import_catalogue(str(upload.pk))
    item = alice.catalogue.get()
    assert (item.external_id, item.title, item.price) == ("A1", "Dune", None)
    assert job_of(upload).result["ignored_columns"] == ["price"]


def test_another_delimiter_guesses_the_columns_again(as_alice):
    upload = upload_csv(as_alice, "Titel;id,x\nDune;A1,1\nUbik;A2\n")
    assert mapping_form(as_alice, upload)["column-title"] == 0
    page = as_alice.post(mapping_url(upload), mapping_form(as_alice, upload, delimiter=","))
    assert (page.context["preview"].names, page.context["preview"].columns) == (["Titel;id", "x"], {"title": 0})


@pytest.mark.parametrize(
    "more",
    [
        {"encoding": "rot13"}, {"delimiter": "xx"}, {"decimal": "?"}, {"column-title": "-1"}, {"column-title": "99"},
        {"column-title": "²"}, {"column-title": "1" * 5000}, {"digest": "\0"}, {"encoding": "utf-16"}, {"quote": "'"},
    ],
)  # fmt: skip
def test_a_choice_that_the_page_does_not_offer_is_ignored(as_alice, more):
    upload = upload_csv(as_alice, GERMAN)
    assert as_alice.post(mapping_url(upload), mapping_form(as_alice, upload) | more).status_code == 200
    assert job_of(upload).state == "needs_mapping"


def test_a_file_in_a_rare_encoding_waits_with_a_guess(as_alice, alice):
    titles = ["Война и мир", "Преступление и наказание", "Мастер и Маргарита", "Анна Каренина"]
    text = "external_id,title\n" + "".join(f"A{row},{titles[row % 4]}\n" for row in range(40))
    upload = upload_csv(as_alice, text.encode("cp1251"))
    context = as_alice.get(mapping_url(upload)).context
    assert (context["preview"].dialect.encoding, context["preview"].doubts) == ("cp1251", {"encoding"})
    confirm_mapping(as_alice, upload, encoding="cp1251")
    import_catalogue(str(upload.pk))
    assert alice.catalogue.get(external_id="A2").title == titles[2]


@pytest.mark.parametrize("title", ["„Spaß“", "„Groß“ über Bäume"])
def test_an_ambiguous_encoding_is_asked_for(as_alice, alice, title):
    """The end of „Spaß“ in Windows-1252 is a letter of UTF-8 too."""
    upload = upload_csv(as_alice, ("external_id,title\n" + f"A1,{title}\n" * 30).encode("windows-1252"))
    assert as_alice.get(mapping_url(upload)).context["preview"].doubts == {"encoding"}
    confirm_mapping(as_alice, upload, encoding="windows-1252")
    import_catalogue(str(upload.pk))
    assert alice.catalogue.get().title == title


@pytest.mark.parametrize("letters", [b"T\xfcr und Tor " * 11 + b"Spa\xdf\x93", "ä".encode() * 20 + b"\xe4"])
def test_a_few_characters_of_another_encoding_do_not_stop_the_import(as_alice, letters):
    upload = upload_csv(as_alice, b"external_id,title\n" + b"A1," + letters + b"\n")
    assert upload.job.state == "queued"


def test_a_file_cancelled_before_its_confirmation_asks_again_after_a_retry(as_alice, broker):
    upload = upload_csv(as_alice, DAYS)
    as_alice.post(reverse("cancel", args=[upload.pk]))
    assert job_of(upload).state == "cancelled"
    as_alice.post(reverse("retry", args=[upload.pk]))
    assert (job_of(upload).state, broker.llen("imports")) == ("needs_mapping", 0)


def test_the_sweep_does_not_publish_a_file_that_waits_for_days(as_alice, broker):
    upload = upload_csv(as_alice, GERMAN)
    Job.objects.update(queued_at="2026-01-01T00:00Z")
    assert jobs.sweep() == 0
    assert (job_of(upload).state, broker.llen("imports")) == ("needs_mapping", 0)
    assert count_ready("imports") == 0
    page = as_alice.get("/")
    assert page.context["poll_after"] is None
    assert [state["state"] for _, state in page.context["rows"]] == ["needs_mapping"]


def test_another_user_gets_404_and_staff_can_only_look(as_alice, as_bob, as_stella, broker):
    upload = upload_csv(as_alice, GERMAN)
    form = mapping_form(as_alice, upload)
    pages = [mapping_url(upload), *(reverse(name, args=[upload.pk]) for name in ("confirm_mapping", "change_mapping"))]
    assert [as_bob.post(page, form).status_code for page in pages] == [404, 404, 404]
    assert as_bob.get(mapping_url(upload)).status_code == 404
    assert [as_stella.post(page, form).status_code for page in pages] == [200, 404, 404]
    assert 'id="confirm"' not in as_stella.get(mapping_url(upload)).content.decode()
    assert (job_of(upload).state, broker.llen("imports")) == ("needs_mapping", 0)


def test_a_form_without_csrf_token_confirms_nothing(as_alice, alice):
    upload = upload_csv(as_alice, GERMAN)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.post(reverse("confirm_mapping", args=[upload.pk]), mapping_form(as_alice, upload)).status_code == 403
    assert browser.get(reverse("confirm_mapping", args=[upload.pk])).status_code == 405


def test_the_page_says_that_a_file_is_gone(as_alice):
    upload = upload_csv(as_alice, GERMAN)
    default_storage.delete(upload.file)
    assert "The file is no longer there" in as_alice.get(mapping_url(upload)).content.decode()
