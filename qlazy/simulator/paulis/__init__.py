"""Circuits by what they do to Pauli words, backwards from the observables; nothing here grows as 2^n."""
