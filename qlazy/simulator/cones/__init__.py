"""Light cones: what an output depends on, and circuits run by their cones."""
