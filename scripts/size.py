"""`make size`: how long functions and files are, against the limits of the style."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.tree import functions, sources


def share(sizes: Sequence[int], most: int) -> float:
    """Say which part of *sizes* is at most *most*."""
    return sum(size <= most for size in sizes) / max(1, len(sizes))


def line(name: str, sizes: Sequence[int], limits: Sequence[int]) -> str:
    """Sum a distribution up in one line."""
    if not sizes:
        return f"{name}: none"
    ordered = sorted(sizes)
    middle = ordered[len(ordered) // 2]
    shares = " · ".join(f"{share(sizes, most):.0%} <= {most}" for most in limits)
    return f"{name}: {len(sizes)}, median {middle}, longest {ordered[-1]} · {shares}"


def main() -> None:
    """Print the distributions and the longest of each kind."""
    for folder in ("src", "tests", "bench", "scripts"):
        found = sources(folder)
        measured = [one for source in found for one in functions(source)]
        print(line(f"{folder:8} functions", [one.lines for one in measured], (8, 20, 60, 80)))
        print(line(f"{folder:8} files    ", [source.lines for source in found], (300, 500, 800)))
        for one in sorted(measured, key=lambda one: -one.lines)[:3]:
            print(f"           {one.lines:4}  {one.place}")
        for source in sorted(found, key=lambda source: -source.lines)[:3]:
            print(f"           {source.lines:4}  {source.path}")


if __name__ == "__main__":
    main()
