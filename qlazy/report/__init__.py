"""Results drawn for a paper. matplotlib is imported here and nowhere else."""
