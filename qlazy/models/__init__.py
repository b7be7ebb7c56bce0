"""Models: the one interface, nets, and the wrappers."""
