"""Data sets, their preprocessing and their labels."""
