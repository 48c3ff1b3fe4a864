"""Results as Markdown, written between two marks of docs/performance.md; the text around them is kept."""

import statistics
from pathlib import Path

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def table(header, rows):
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows]) + "\n"


def time(seconds):
    """A time with three digits, in ms or s."""
    if seconds < 1:
        return f"{1e3 * seconds:.3g} ms"
    return f"{seconds:.3g} s"


def spread(values):
    """Median, minimum and maximum."""
    low, high = min(values), max(values)
    return f"{time(statistics.median(values))} ({time(low)} – {time(high)})"


def memory(peak_bytes):
    return f"{peak_bytes / 1e6:.0f} MB" if peak_bytes else ""


def write(path, measured):
    path = Path(path)
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{measured}\n{END}{after}")
