"""PennyLane's circuits: traced, lowered, read as programs, drawn."""
