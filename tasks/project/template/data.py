"""The rows of my-project: 178 wines with a few of their measurements (UCI, bundled with scikit-learn).

Replace `read` by your own: it returns a DataFrame with the columns that project.yaml names. Where it takes a parameter
`as_of`, it is given the time as of which the run sees the data. For files or a database no Python is needed: see
`source` in project.yaml.
"""

import pandas as pd
from sklearn.datasets import load_wine


def read() -> pd.DataFrame:
    """Return one row a wine."""
    wines = load_wine(as_frame=True)
    measured: pd.DataFrame = wines.data[["alcohol", "flavanoids", "color_intensity", "hue", "proline"]]
    return measured.assign(cultivar=wines.target.map(dict(enumerate(wines.target_names))))
