"""What the value of an option may be, beside what argparse knows: names, numbers, columns, a folder."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

LARGEST = 10_000_000


def positive(text: str) -> int:
    """An option that is a whole number from 1 up."""
    if not text.isdecimal() or not text.lstrip("0"):
        raise argparse.ArgumentTypeError(f"must be a positive integer, but is {text!r}")
    if len(text) > 10 or int(text) > LARGEST:
        raise argparse.ArgumentTypeError(f"must be at most {LARGEST}, but is {text[:20]}")
    return int(text)


def folder(text: str) -> Path:
    """An option that is a folder, there already or not; refused before any work is done where it is a file."""
    if not text:
        raise argparse.ArgumentTypeError("must name a folder, but is empty")
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"must be a folder, but {text} is a file")
    return path


def names(text: str) -> tuple[str, ...]:
    """An option that is a list of names with commas between."""
    return tuple(part.strip() for part in text.split(","))


def numbers(text: str) -> tuple[float, ...]:
    """An option that is a list of numbers with commas between."""
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be numbers with commas between, but is {text!r}") from None


def columns(text: str) -> tuple[str, ...]:
    """Names with commas between; one that has commas itself stands in double quotes, as in a CSV file."""
    try:
        (found,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        found = []
    if not all(name.strip() for name in found) or not found:
        raise argparse.ArgumentTypeError(f"must be names of columns with commas between, but is {text!r}")
    return tuple(name.strip() for name in found)
