"""Each fault of docs/facts that this project mends, as a program that shows it: `make faults`."""
