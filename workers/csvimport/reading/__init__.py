"""Reads a CSV file as records with their line numbers."""
