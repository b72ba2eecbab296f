"""Rows one by one, where the database refuses some of a chunk: which, and why, in words that their owner can act on.

A loop inside the database: a savepoint for every row from here would cost some milliseconds each, the loop does not.
PostgreSQL names the constraint; its columns are looked up, and a constraint of the model may have words of its own.
"""

from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Model

# By https://www.postgresql.org/docs/current/errcodes-appendix.html
WORDS = {
    "23502": "is missing",
    "23503": "is of something that does not exist",
    "23505": "another row has the same",
    "23514": "is against a rule of the table ({rule})",
    "23P01": "is against another row ({rule})",
}
FUNCTION = "pg_temp.csv_one_by_one"
CREATE = """
    CREATE FUNCTION {function}() RETURNS TABLE (is_new bool, state text, rule text, attribute text, said text)
    LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    DECLARE staged record;
    BEGIN
        FOR staged IN SELECT * FROM {staging} LOOP
            BEGIN
                {write} INTO is_new;
                state := NULL;
            EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, rule = CONSTRAINT_NAME,
                    attribute = COLUMN_NAME, said = MESSAGE_TEXT;
            END;
            RETURN NEXT;
        END LOOP;
    END $$"""


class Outcome(NamedTuple):
    """Of one row. is_new: None where it was there already and equal. state: the SQLSTATE of a refusal, else None."""

    is_new: bool | None
    state: str | None
    rule: str
    attribute: str
    said: str


def write_one_by_one(staging: str, write: str) -> list[Outcome]:
    """What became of each row of the table `staging`, in its order. write: the statement for the record `staged`."""
    with connection.cursor() as cursor:
        cursor.execute(CREATE.format(function=FUNCTION, staging=staging, write=write))
        cursor.execute(f"SELECT * FROM {FUNCTION}()")  # noqa: S608
        outcomes = [Outcome(*row) for row in cursor.fetchall()]
        cursor.execute(f"DROP FUNCTION {FUNCTION}()")
    return outcomes


class Reasons:
    """Why rows of a model's table are refused. Asks the database for its constraints once."""

    def __init__(self, model: type[Model]) -> None:
        self.fields = {str(field.column): field.name for field in model._meta.concrete_fields}
        self.own = {
            constraint.name: str(constraint.get_violation_error_message()).rstrip(".")
            for constraint in model._meta.constraints
            if constraint.violation_error_message != constraint.default_violation_error_message
        }
        with connection.cursor() as cursor:
            self.rules: dict[Any, Any] = connection.introspection.get_constraints(cursor, model._meta.db_table)

    def of(self, refused: Outcome) -> str:
        """Such as "barcode: another row has the same"."""
        if refused.rule in self.own:
            return self.own[refused.rule]
        if refused.state not in WORDS:
            return refused.said
        columns = [refused.attribute] if refused.attribute else self.rules.get(refused.rule, {}).get("columns") or []
        names = ", ".join(self.fields[column] for column in columns if column in self.fields)
        return f"{names or 'the row'}: {WORDS[refused.state].format(rule=refused.rule)}"
