"""The errors of a storage that a disk does not have. Apart, because boto3 is large (docs/facts/servers.md#boto3)."""


class StorageRefusedError(OSError):
    """Wrong keys, rights, region or bucket: no retry helps until staff change a setting."""
