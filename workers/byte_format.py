"""Bytes as people count them."""

UNITS = ("kB", "MB", "GB", "TB")


def format_bytes(count: float) -> str:
    """In thousands: 48 MB, 7.4 MB, 120 bytes."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in UNITS:
        count /= 1000
        if count < 999.5 or unit == UNITS[-1]:
            break
    return f"{count:.1f}".removesuffix(".0") + f" {unit}" if count < 9.95 else f"{count:,.0f} {unit}"
