"""What every parser of a column's cells says when one of them is no value."""


class Wrong(Exception):
    """A cell of this column is no value for its field. The text completes "price: ..."."""


def shown(cell: str) -> str:
    """The cell in a sentence."""
    return f'"{cell[:40]}"'
