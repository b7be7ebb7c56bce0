"""Modules of torch: which need no trial, how they start, how they are differentiated twice."""
