"""The three questions of a verdict, lazy, flat or classical, asked of one model and its data."""
