"""The production stack on one machine: what it consists of, and the supervisor that keeps it running.

Nothing here imports Prefect: its server and workers are programs like the others. The order of a start is `flows.stack`.
"""
