"""Circuits that measure on the way, branch by branch."""
