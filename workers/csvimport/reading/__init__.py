"""From bytes to records: encoding, dialect, records with their line numbers."""
