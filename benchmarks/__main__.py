"""Every figure that the README claims, one benchmark after the other: `make bench`, or `python -m benchmarks gate`.

docs/results.md, the figures of the projects' candidates, takes hours and is made apart: `python -m benchmarks.results --help`.
"""

import argparse
import importlib
import subprocess
import sys

BENCHMARKS = {
    "drift": "how often a drift alarm is false and what is caught, what the decision costs; beside Evidently",
    "gate": "how often the gate promotes equal, better and worse models, beside two common rules",
    "gpu": "networks on a GPU beside the CPU: epochs, mixed precision, the largest batch; says so where there is none",
    "memory": "training on pictures that take four times the memory allowed, beside the same in memory",
    "overhead": "what keepfit adds to the bare work on iris, beside bare Prefect",
    "stack": "the production stack: up, trigger to release, twenty retrainings at once, memory",
    "store": "put and get, beside plain boto3 and plain file copies",
    "training": "rows a second of keepfit's training, beside plain Keras and plain scikit-learn with the same models",
    "transfer": "few rows: networks that learn from them alone, beside ones that borrow",
    "tuning": "a search of parameters with one, two and four processes, beside a plain loop over its trials",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which; default all")
    names = parser.parse_args().names or list(BENCHMARKS)
    for name in names:
        print(f"\n== {name}: {BENCHMARKS[name]}\n", flush=True)
        importlib.import_module(f"benchmarks.{name}")  # a misspelt module is an error here, not a child's exit code
        code = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        if code:
            raise SystemExit(f"benchmark {name} ended with {code}")


if __name__ == "__main__":
    main()
