"""The bars of the design, measured: `make bench`, or `python -m bench [name ...] [--quick]`. Imported by nobody."""
