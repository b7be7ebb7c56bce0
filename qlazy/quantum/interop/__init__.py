"""Other tools that use the simulators of this package, and circuits of theirs."""
