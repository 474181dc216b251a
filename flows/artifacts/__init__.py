"""What the Prefect UI shows of a run, as artifacts: one module a page, and one for how they get there."""
