"""Gates of OpenQASM: the standard library, gates built from gates, and the check of a gate body."""
