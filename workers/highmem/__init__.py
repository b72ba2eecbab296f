"""The tasks of the worker highmem: CSV imports and reports."""
