"""Circuits and their derivatives in words, pictures and files."""
