"""The figures of the projects' candidates beside published ones: `python -m benchmarks.results` makes docs/results.md."""
