"""Programs: circuits with measurement, branches and bounded loops, as values."""
