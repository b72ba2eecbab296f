"""Somebody takes the quiz: answers, a score, and why."""

from pathlib import Path

import pytest
from django.test import Client

from mediaapp import documents
from mediaapp.course import quiz
from mediaapp.documents.addresses import chapters
from tests.outages import unreachable_database

QUIZ = "/practices/quiz/"
QUESTIONS = """
[[question]]
practice = 2
text = "Who deletes <i> and `cache.lock`?"
answers = ["Redis", "Nobody"]
right = 0
why = "It has a timeout."
section = "picture"

[[question]]
practice = 3
text = "Which queue?"
answers = ["urgent", "video", "none"]
right = 2
why = "None of *these*."
"""


@pytest.fixture
def two_questions(tmp_path: Path, settings) -> Path:
    settings.BASE_DIR = tmp_path
    path = tmp_path / quiz.PATH
    path.parent.mkdir(parents=True)
    path.write_text(QUESTIONS)
    return path


@pytest.mark.django_db
def test_it_asks_without_giving_the_answers_away(client: Client, two_questions: Path):
    page = client.get(QUIZ).content.decode()
    assert page.count('type="radio"') == 5
    assert "Who deletes &lt;i&gt; and <code>cache.lock</code>?" in page
    for secret in ("It has a timeout", "Right</span>", "checked", "of 2 right"):
        assert secret not in page


@pytest.mark.django_db
def test_it_grades_and_explains_every_answer(client: Client, two_questions: Path):
    page = client.post(QUIZ, {"question-1": "1", "question-2": "2"}).content.decode()
    assert "<b>1 of 2 right.</b>" in page
    assert "It has a timeout." in page
    assert "None of <em>these</em>." in page
    assert 'href="/practices/2/#picture"' in page
    assert 'href="/practices/3/#' not in page  # that answer is right
    assert 'href="/practices/3/#wrong-and-right"' in client.post(QUIZ, {}).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("answers", [{}, {"question-1": "7", "question-2": "x"}, {"question-1": "-2"}])
def test_no_answer_and_a_forged_one_are_wrong(answers: dict[str, str], client: Client, two_questions: Path):
    page = client.post(QUIZ, answers).content.decode()
    assert "<b>0 of 2 right.</b>" in page
    assert page.count("You chose none.") == 2


@pytest.mark.django_db
def test_it_compares_the_last_two_scores_of_the_same_form(client: Client, two_questions: Path):
    for answer, before in (("1", None), ("0", "0 of 2"), ("0", "1 of 2")):
        page = client.post(QUIZ, {"question-1": answer}).content.decode()
        assert ("The time before: " in page) == bool(before)
        assert f"The time before: {before or ''}" in page or before is None
    assert "The time before" not in client.post(f"{QUIZ}?practice=3", {}).content.decode()
    assert client.session["quiz_scores"] == {"": [[1, 2], [1, 2]], "3": [[0, 1]]}


@pytest.mark.django_db
def test_the_questions_of_one_practice_are_a_form_of_their_own(client: Client, two_questions: Path):
    page = client.get(f"{QUIZ}?practice=3").content.decode()
    assert "Which queue?" in page
    assert "Who deletes" not in page
    assert f'action="{QUIZ}?practice=3"' in page


@pytest.mark.django_db
def test_the_questions_of_several_practices_are_one_form_in_any_order(client: Client, two_questions: Path):
    with two_questions.open("a") as file:
        file.write(QUESTIONS[QUESTIONS.index("[[question]]\npractice = 3") :].replace("practice = 3", "practice = 4"))
    page = client.get(f"{QUIZ}?practice=4,2").content.decode()
    assert [text in page for text in ("Who deletes", "Which queue?", "Quiz: practices 2, 4")] == [True] * 3
    assert [f"<h2>{number} {quiz.TITLES[number]}</h2>" in page for number in (2, 3, 4)] == [True, False, True]
    client.post(f"{QUIZ}?practice=4,2", {})
    assert "The time before: 0 of 2." in client.post(f"{QUIZ}?practice=2,4,2", {}).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["?practice=1", "?practice=x", "?practice=99", "?practice=3,1", "?practice=3,x"])
def test_a_form_without_questions_is_not_found(query: str, client: Client, two_questions: Path):
    assert client.get(QUIZ + query).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["[[question]", "[[question]]\npractice = 2", QUESTIONS.replace("right = 2", "right = 3")]
)
def test_a_broken_or_missing_file_breaks_no_other_page(text: str, client: Client, two_questions: Path):
    two_questions.write_text(text)
    assert client.get(QUIZ).status_code == 404
    assert client.get("/practices/").status_code == 200
    two_questions.unlink()
    assert client.get(QUIZ).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_it_asks_while_the_database_is_away(client: Client):
    with unreachable_database("127.0.0.1:1"):
        assert client.get(QUIZ).status_code == 200


def test_each_question_says_why_and_leads_to_a_section_that_exists():
    questions = quiz.read_questions()
    assert questions
    for each in questions:
        assert len(set(each.answers)) == len(each.answers) > 2
        assert each.why
        sections = dict(documents.read(chapters()[each.practice]).sections)
        assert each.section in sections or "one-bad-day" not in sections  # a chapter of the old form
