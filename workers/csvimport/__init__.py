"""A CSV file into a table of the database: a library for the preview of the site and the import of the worker."""
