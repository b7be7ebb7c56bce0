"""A QNode is run once on tensors that carry the formula of every element, to learn what its angles are."""
