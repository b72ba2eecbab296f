"""Why a file cannot be read, in sentences for its owner."""

import csv

MAX_LINE_CHARACTERS = 1_000_000  # of a line, and of a record
MAX_CELL_CHARACTERS = csv.field_size_limit()  # 131,072
MAX_COLUMNS = 16_384  # as many as a spreadsheet has

EMPTY = "The file is empty. Choose a CSV file with a header line and at least one row."
NOT_TEXT = 'This is not the text of a CSV file. In your spreadsheet, choose "Save as" and "CSV UTF-8", and upload that.'
LINE_TOO_LONG = f"This is no CSV file: a line is longer than {MAX_LINE_CHARACTERS:,} characters."
ENCODING_IN_DOUBT = (
    "This file has letters that may be of another encoding than Windows-1252, so no row of it was read. "
    "Change the mapping, and choose how its letters are to be read."
)
QUOTES_MISMATCHED = (
    "the quotes do not match (a quote inside a quoted cell is written twice), "
    f"or a cell is longer than {MAX_CELL_CHARACTERS:,} characters"
)


class CsvUnreadable(Exception):
    """sentence: for the owner; detail: for staff."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail

    def after_rows(self, committed: int) -> "CsvUnreadable":
        if not committed:
            return self
        stays = f"What was imported of the first {committed:,} rows stays, and the mended file will not double it."
        return CsvUnreadable(f"{self.sentence} {stays}", self.detail)
