"""The rows of the diabetes project, as scikit-learn ships them (Efron, Hastie, Johnstone and Tibshirani 2004)."""

import pandas as pd
from sklearn.datasets import load_diabetes

NAMES = {
    "bp": "blood_pressure", "s1": "total_cholesterol", "s2": "ldl", "s3": "hdl", "s4": "cholesterol_ratio",
    "s5": "log_triglycerides", "s6": "blood_sugar", "target": "progression",
}  # fmt: skip


def read() -> pd.DataFrame:
    """Return 442 patients as they were measured: ten baseline figures, and how far the disease was a year later."""
    frame = load_diabetes(as_frame=True, scaled=False).frame.rename(columns=NAMES)
    return frame.astype({"age": "int64", "sex": "int64"})
