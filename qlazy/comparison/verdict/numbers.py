"""Shares and their intervals in words: per cent to three digits, written out."""

from __future__ import annotations

import math

from qlazy.base.over_seeds import Interval


def percents(interval: Interval) -> str:
    """A mean, with its interval where it has one."""
    mean = percent(interval.mean)
    if not math.isfinite(interval.low):
        return mean
    return f"{mean} [{_hundredths(interval.low)}, {_hundredths(interval.high)}]"


def percent(value: float) -> str:
    """A share in per cent."""
    return f"{_hundredths(value)} %"


def _hundredths(value: float) -> str:
    """In per cent to three digits, written out; what an interval of two seeds can reach is cut short."""
    hundredths = float(f"{100 * value:.3g}")
    if hundredths < 1000:
        return f"{hundredths:.3g}"
    return f"{hundredths:,.0f}" if hundredths < 1e6 else "over 1,000,000"
