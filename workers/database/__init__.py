"""The database backend of DATABASES: Django imports its module `base`."""
