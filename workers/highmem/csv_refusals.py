"""Why the database refused a row, in words that its owner can act on.

PostgreSQL names the constraint; its columns are looked up, and a constraint of the model may have words of its own.
"""

from typing import Any

from django.db import Error, connection
from django.db.models import BaseConstraint, Model

# By https://www.postgresql.org/docs/current/errcodes-appendix.html
WORDS = {
    "23502": "is missing",
    "23503": "is of something that does not exist",
    "23505": "another row has the same",
    "23514": "is against a rule of the table ({rule})",
    "23P01": "is against another row ({rule})",
}


def words_of(error: Error, model: type[Model]) -> str:
    """The reason, such as "barcode: another row has the same". Asks the database, so its transaction must be sound."""
    said: Any = getattr(error.__cause__, "diag", None)
    rule = getattr(said, "constraint_name", None)
    for constraint in model._meta.constraints:
        if constraint.name == rule and _has_own_words(constraint):
            return str(constraint.get_violation_error_message()).rstrip(".")
    words = WORDS.get(getattr(said, "sqlstate", None) or "")
    if words is None:
        return getattr(said, "message_primary", None) or str(error)
    columns = [said.column_name] if said.column_name else _columns_of(rule, model)
    names = [field.name for field in model._meta.concrete_fields if field.column in columns]
    return f"{', '.join(names) or 'the row'}: {words.format(rule=rule)}"


def _has_own_words(constraint: BaseConstraint) -> bool:
    return constraint.violation_error_message != constraint.default_violation_error_message


def _columns_of(rule: str | None, model: type[Model]) -> list[str]:
    with connection.cursor() as cursor:
        rules: dict[Any, Any] = connection.introspection.get_constraints(cursor, model._meta.db_table)
    return rules[rule]["columns"] or [] if rule in rules else []
