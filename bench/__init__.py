"""`make bench`, or `python -m bench [name ...] [--quick]`, measures the bars of the design. Nothing imports it."""
