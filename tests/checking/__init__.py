"""Tests of qlazy.checking."""
