"""From operations to the instructions of a sweep."""
