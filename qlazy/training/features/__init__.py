"""Whether training learnt features: after-kernels, error barriers, and kernels that collapse onto what was learnt."""
