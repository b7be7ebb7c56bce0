"""The ways to run a circuit."""
