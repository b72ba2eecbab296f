"""From a column of cells to values for the database, or to a reason for each cell that has none."""
