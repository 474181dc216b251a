"""How often a drift alarm is right and what the decision costs: `python -m benchmarks.drift [--json] [--share S] [--limit S]`.

keepfit's rule beside Evidently's DataDriftPreset as it comes: how often a column is flagged, and how often the data
set is (half of its columns). Evidently is given few seconds a scenario, so that its shares rest on fewer windows.
"""

import argparse
import json
import logging
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict

from benchmarks.drift.calibration import SCENARIOS, Scenario, ask_evidently, run_scenario
from benchmarks.drift.speed import measure

SIZES = (100_000, 1_000_000, 10_000_000)
LARGEST_FOR_EVIDENTLY, EVIDENTLY_LIMIT_S = 1_000_000, 20.0
"""A million rows take it 75 s on a quiet machine: that it is over the limit is enough."""
EVIDENTLY_S = 5.0
AIM_S = {100_000: 0.5, 1_000_000: 3.0, 10_000_000: 30.0}
AIM_MB = 1_000
"""On two cores."""


def main() -> int:
    """Run all of it, print it, and return 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--share", type=float, default=1.0, help="share of the windows of each scenario")
    parser.add_argument(
        "--limit", type=float, default=40.0, help="seconds for the plain loop at each size; 0: no other way"
    )
    parser.add_argument("--only", choices=["calibration", "speed"], help="one half")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="sizes of the other half")
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    started, results, speeds = time.perf_counter(), [], []
    with ProcessPoolExecutor(2) as pool:
        for scenario in SCENARIOS if chosen.only != "speed" else []:
            results.append({**asdict(scenario), **run_scenario(scenario, chosen.share, pool)})
            if scenario.evidently:
                results[-1] |= ask_evidently(scenario, EVIDENTLY_S, pool)
            if not chosen.json:
                print(_line(scenario, results[-1]), flush=True)
    for rows in chosen.rows if chosen.only != "calibration" else []:
        evidently_s = EVIDENTLY_LIMIT_S if rows <= LARGEST_FOR_EVIDENTLY and chosen.limit else 0.0
        limits = {"reference": 600.0, "keepfit": 600.0, "scipy": chosen.limit, "evidently": evidently_s}
        speeds.append({"rows": rows, "columns": 20, **measure(rows, limits)})
        if not chosen.json:
            print(_speed_line(speeds[-1], limits), flush=True)
    seconds = round(time.perf_counter() - started, 1)
    if chosen.json:
        print(json.dumps({"seconds": seconds, "calibration": results, "speed": speeds}, indent=2))
    else:
        print(f"{seconds} s")
    return 0 if all(result["kept"] for result in results) else 1


def _line(scenario: Scenario, result: dict) -> str:
    kind = "correlated" if scenario.correlation else "independent"
    what = f"{scenario.name}, {scenario.features} features, {kind}, n={scenario.rows:,} against {scenario.reference_rows:,}"
    bound = f"[{scenario.bound} {'kept' if result['kept'] else 'BROKEN'}]" if scenario.bound else ""
    beside = ""
    if "evidently_trials" in result:
        beside = (
            f"  Evidently: column {result['evidently_column']:6.1%}, data set {result['evidently_data_set']:6.1%} "
            f"of {result['evidently_trials']}"
        )
    return f"{what:<85} keepfit {result['keepfit']:6.1%} of {result['windows']:,} {bound:<15}{beside}"


def _speed_line(result: dict, limits: dict) -> str:
    said = [f"{result['rows']:>10,} x 20"]
    for way in ("keepfit", "reference", "scipy", "evidently"):
        if way in result:
            seen = result[way]
            figures = (
                f"{seen['wall_s']} s ({seen['cpu_s']} s CPU), {seen['peak_mb']} MB" if seen else f"> {limits[way]:g} s"
            )
            said.append(f"{'reference, once' if way == 'reference' else way}: {figures}")
    aim = AIM_S.get(result["rows"])
    if aim and result["keepfit"]:
        kept = result["keepfit"]["wall_s"] <= aim and result["keepfit"]["peak_mb"] <= AIM_MB
        said.insert(2, f"[{aim:g} s, {AIM_MB:,} MB {'kept' if kept else 'MISSED'}]")
    return "  ".join(said)


if __name__ == "__main__":
    sys.exit(main())
