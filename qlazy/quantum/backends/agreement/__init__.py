"""The lock on every backend: it must give what the QNode itself gives, called plainly, row by row, in NumPy."""
