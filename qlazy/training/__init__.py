"""Training at an output scale, what it leaves, and how far it drifted."""
