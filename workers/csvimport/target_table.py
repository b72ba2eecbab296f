"""The table that an import writes to."""

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import NOT_PROVIDED, Field, Model

from workers.csvimport.cells.fields import can_be_imported, needs_value


@dataclass(frozen=True)
class TargetTable:
    """fixed: values by column name, such as {"owner_id": 5}.

    Raises LookupError for a model whose rows need what no file can set.
    """

    model: type[Model]
    fixed: dict[str, Any]

    def __post_init__(self) -> None:
        blank = self.model(**self.fixed)
        lacking = [
            f"{field.name} ({type(field).__name__})"
            for field in self.model._meta.concrete_fields
            if field.attname not in self.fixed and not can_be_imported(field) and needs_value(field, blank)
        ]
        if lacking:
            needs = f"{self.model._meta.label} cannot be imported: its rows need {', '.join(lacking)}"
            raise LookupError(f"{needs}, which no file can set. Give them as fixed values, or a default.")

    @classmethod
    def of_owner(cls, model_label: str, owner_id: int | None) -> "TargetTable":
        return cls(apps.get_model(model_label), fixed={"owner_id": owner_id})

    @property
    def key(self) -> list[Field]:
        """The first unique constraint without NULLs that a file can fill. Raises LookupError if there is none."""
        meta = self.model._meta
        unique = [constraint.fields for constraint in meta.total_unique_constraints if not constraint.deferrable]
        for names in [*unique, *([field.name] for field in meta.concrete_fields if field.unique)]:
            fields = [field for field in meta.concrete_fields if field.name in names]
            if all(not field.null and (field in self.importable or field.attname in self.fixed) for field in fields):
                return fields
        raise LookupError(f"{meta.label} has no unique constraint by which a file could update its rows.")

    @property
    def importable(self) -> list[Field]:
        return [
            field
            for field in self.model._meta.concrete_fields
            if can_be_imported(field) and field.attname not in self.fixed
        ]

    def requires(self, field: Field) -> bool:
        has_default = field.has_default() or field.db_default is not NOT_PROVIDED
        return field in self.key or not (field.blank or field.null or has_default)
