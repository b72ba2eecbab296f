"""Reports on rows. process.py runs in a process of its own, which alone has polars in memory."""
