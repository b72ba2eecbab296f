"""Converts cells to database values."""
