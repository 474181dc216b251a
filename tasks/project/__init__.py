"""Projects as specs: project.yaml read, checked with all its problems at once, and its functions at hand.

Light on purpose: no pandas, no scikit-learn. Whether the estimators and metrics it names exist is `keepfit check`'s work.
"""

from tasks.project.loading import LoadedProject, functions_of, load_project, parse_spec
from tasks.project.scaffold import create_project

__all__ = ["LoadedProject", "create_project", "functions_of", "load_project", "parse_spec"]
