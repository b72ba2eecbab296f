"""Writes rows one by one, and says why the database refuses some."""

from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Model

# By SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
MESSAGES = {
    "23502": "is missing",
    "23503": "is of something that does not exist",
    "23505": "another row has the same",
    "23514": "is against a rule of the table ({constraint})",
    "23P01": "is against another row ({constraint})",
}
FUNCTION = "pg_temp.csv_one_by_one"
CREATE = """
    CREATE FUNCTION {function}()
    RETURNS TABLE (is_new bool, sqlstate_ text, constraint_ text, column_ text, message_ text)
    LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    DECLARE staged record;
    BEGIN
        FOR staged IN SELECT * FROM {staging} LOOP
            BEGIN
                {write} INTO is_new;
                sqlstate_ := NULL;
            EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
                GET STACKED DIAGNOSTICS sqlstate_ = RETURNED_SQLSTATE, constraint_ = CONSTRAINT_NAME,
                    column_ = COLUMN_NAME, message_ = MESSAGE_TEXT;
            END;
            RETURN NEXT;
        END LOOP;
    END $$"""


class RowResult(NamedTuple):
    """is_new: None if an equal row was there already. It has no meaning beside a sqlstate."""

    is_new: bool | None
    sqlstate: str | None
    constraint: str
    column: str
    message: str


def write_one_by_one(staging: str, write: str) -> list[RowResult]:
    """The results are in the table's order. write: the statement for the record `staged`."""
    with connection.cursor() as cursor:
        cursor.execute(CREATE.format(function=FUNCTION, staging=staging, write=write))
        cursor.execute(f"SELECT * FROM {FUNCTION}()")  # noqa: S608
        results = [RowResult(*row) for row in cursor.fetchall()]
        cursor.execute(f"DROP FUNCTION {FUNCTION}()")
    return results


class RowErrorMessages:
    def __init__(self, model: type[Model]) -> None:
        self.field_names = {str(field.column): field.name for field in model._meta.concrete_fields}
        self.own_messages = {
            constraint.name: str(constraint.get_violation_error_message()).rstrip(".")
            for constraint in model._meta.constraints
            if constraint.violation_error_message != constraint.default_violation_error_message
        }
        with connection.cursor() as cursor:
            self.constraints: dict[Any, Any] = connection.introspection.get_constraints(cursor, model._meta.db_table)

    def message_for(self, error: RowResult) -> str:
        if error.constraint in self.own_messages:
            return self.own_messages[error.constraint]
        if error.sqlstate not in MESSAGES:
            return error.message
        columns = [error.column] if error.column else self.constraints.get(error.constraint, {}).get("columns") or []
        names = ", ".join(self.field_names[column] for column in columns if column in self.field_names)
        return f"{names or 'the row'}: {MESSAGES[error.sqlstate].format(constraint=error.constraint)}"
