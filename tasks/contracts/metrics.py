"""Which metrics there are: their names, for what is checked before anything heavy is imported.

What they are is in `tasks.metrics.registry`; a test holds the two against each other.
"""

OF_CLASSES = (
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "f1_macro", "mcc", "log_loss", "brier", "roc_auc", "pr_auc",
)  # fmt: skip
OF_VALUES = ("mae", "rmse", "r2")

IN_UNITS_OF_THE_TARGET = ("mae", "rmse")
"""No margin fits all of them: a project says its own."""
