"""Which rows are worth a label, and which labels are likely wrong. Read by commands of people, never by a run."""
