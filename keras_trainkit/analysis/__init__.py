"""Looking at runs: range test, learning curves, averages."""

__all__: list[str] = []
