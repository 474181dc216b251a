"""Projects as folders: finding them, reading their YAML with line numbers, loading their functions by name."""

from infra.projects.folders import ProjectFolder, check_name, find_project, list_projects
from infra.projects.functions import digest_code, find_reference_problem, load_function
from infra.projects.located_yaml import LocatedYaml, read_yaml
from infra.projects.sources import digest_module, digest_source

__all__ = [
    "LocatedYaml",
    "ProjectFolder",
    "check_name",
    "digest_code",
    "digest_module",
    "digest_source",
    "find_project",
    "find_reference_problem",
    "list_projects",
    "load_function",
    "read_yaml",
]
