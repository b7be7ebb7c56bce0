"""Branches, loops and their bounds, jumps, subroutines."""
