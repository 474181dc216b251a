"""The rows of the iris project."""

import pandas as pd
from sklearn.datasets import load_iris

COLUMNS = {
    "sepal length (cm)": "sepal_length",
    "sepal width (cm)": "sepal_width",
    "petal length (cm)": "petal_length",
    "petal width (cm)": "petal_width",
}


def read() -> pd.DataFrame:
    """Return Fisher's 150 flowers as scikit-learn ships them: four measures in cm and the species' name."""
    iris = load_iris(as_frame=True)
    frame = iris.data.rename(columns=COLUMNS)
    frame["species"] = iris.target_names[iris.target].astype(str)
    return frame
