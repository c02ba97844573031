"""Numbers as people read them, the same in titles, labels and alt texts."""

from __future__ import annotations

import math


def percent(share: float, digits: int = 1) -> str:
    """A share in [0, 1] as ``12.3 %``, with a no-break space; an en dash where it is unknown."""
    return "–" if not math.isfinite(share) else f"{100 * share:.{digits}f}\u00a0%"


def number(value: float, digits: int = 3) -> str:
    """``digits`` significant digits, all before the point: ``0.0123``, ``4 567``; beyond a hundred thousand and below a
    ten-thousandth as ``1.23e-5``."""
    if not math.isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    if 10**digits - 0.5 <= abs(value) < 1e5:  # where "g" would write 4.57e+03
        return count(value)
    if 1e-4 <= abs(value) < 1e5:
        return f"{value:.{digits}g}"
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(power)}"


def count(n: float) -> str:
    """A whole number with thin spaces between thousands, at which no line breaks."""
    return f"{round(n):,}".replace(",", "\u202f")


def si(value: float, unit: str = "") -> str:
    """A large number with three digits and a prefix: ``54.6 kB``, ``1.81 G``."""
    size, prefixes = abs(value), ["T", "G", "M", "k", ""]
    while size >= 999.5 and len(prefixes) > 1:
        size /= 1000
        prefixes.pop()
    prefix = prefixes[-1]
    digits = 0 if not prefix or size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{math.copysign(size, value):.{digits}f}\u00a0{prefix}{unit}".rstrip("\u00a0")


def power(decade: int) -> str:
    """A tick at a power of ten: plain from 0.001 to 10 000, a power beyond."""
    if -3 <= decade <= 4:
        return f"{10.0**decade:.{max(0, -decade)}f}"
    return f"10<sup>{decade}</sup>".replace("-", "\u2212")


def plural(n: int, one: str, many: str = "") -> str:
    """``1 layer``, ``3 layers``."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"
