"""Expressions of OpenQASM: what names stand for, arithmetic, and evaluating the syntax tree."""
