"""Imports CSV files into database tables, and previews what an import would do."""
