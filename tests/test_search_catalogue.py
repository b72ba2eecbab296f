"""A user searches the catalogue."""

import csv
import io

import pytest

from mediaapp.models import CatalogueItem, User


@pytest.fixture
def shelf(alice, bob):
    titles = ["The Silent Sea", "Bread, Salt, Wine", "100% Wool", "under_score"]
    add(alice, *titles)
    add(bob, "The Silent Sea of Bob")


def add(owner: User, *titles: str) -> None:
    items = [
        CatalogueItem(owner=owner, external_id=f"B-{number:04}", title=title, creator="Ann Hart")
        for number, title in enumerate(titles)
    ]
    CatalogueItem.objects.bulk_create(items)


def titles(client, **parameters: str) -> list[str]:
    response = client.get("/catalogue/", parameters)
    assert response.status_code == 200
    return [item.title for item in response.context["page"]]


def test_a_user_sees_only_their_own_rows(as_alice, as_bob, as_stella, shelf):
    assert len(titles(as_alice)) == 4
    assert titles(as_bob) == ["The Silent Sea of Bob"]
    assert titles(as_stella) == []


def test_a_visitor_is_redirected_to_the_login(client, db):
    assert client.get("/catalogue/").url == "/accounts/login/?next=/catalogue/"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("silent", ["The Silent Sea"]),
        ("  SILENT ", ["The Silent Sea"]),
        ("ann", ["The Silent Sea", "Bread, Salt, Wine", "100% Wool", "under_score"]),
        ("b-0001", ["Bread, Salt, Wine"]),
        ("0001", []),
        ("%", ["100% Wool"]),
        ("_", ["under_score"]),
        ("sil\x00ent", ["The Silent Sea"]),
        (" \x00 ", ["The Silent Sea", "Bread, Salt, Wine", "100% Wool", "under_score"]),
        ("' OR 1=1 --", []),
        ("\\", []),
        ("x" * 100_000, []),
        ("\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), []),
    ],
)
def test_a_search_matches_title_creator_and_the_start_of_the_id(as_alice, shelf, query, found):
    assert titles(as_alice, q=query) == found


@pytest.mark.parametrize(("page", "shown"), [("1", 50), ("2", 1), ("abc", 50), ("0", 1), ("9" * 30, 1), ("\x00", 50)])
def test_many_rows_come_in_pages(as_alice, alice, page, shown):
    add(alice, *map(str, range(51)))
    assert len(titles(as_alice, page=page)) == shown


def test_the_next_page_keeps_the_search(as_alice, alice):
    add(alice, *(f"Part & {number}" for number in range(51)))
    page = as_alice.get("/catalogue/", {"q": "part &"}).content.decode()
    assert "?page=2&amp;q=part%20%26" in page


def test_markup_in_rows_and_query_is_escaped(as_alice, alice):
    markup = "<img src=x onerror=alert(1)>"
    add(alice, markup)
    page = as_alice.get("/catalogue/", {"q": markup}).content.decode()
    assert "&lt;img src=x" in page
    assert "<img src=x" not in page


def test_anybody_can_download_the_sample_csv(client):
    response = client.get("/catalogue/sample.csv")
    header, *rows = csv.reader(io.StringIO(response.content.decode()))
    assert set(header) <= {field.name for field in CatalogueItem._meta.fields}
    assert {len(row) for row in rows} == {len(header)}
