"""Which circuit is lazy on which data, at which scale, and whether its training pays."""
