"""A replay as one picture: the figures of three models over time, with what the loop saw and did.

Colours are those of Okabe & Ito (2008), told apart with any colour vision; each line has a mark of its own.
"""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infra.png import as_png
from tasks.contracts.replay import Replay

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
LINES = (
    ("frozen", "frozen: the first model, never replaced", ORANGE, "s", "--"),
    ("always", "always retrained: no gate", GREY, "^", ":"),
    ("kept_fit", "kept fit: by this loop", BLUE, "o", "-"),
)
DOTS_PER_INCH = 110


def draw_timeline(replay: Replay) -> bytes:
    """Return the picture as PNG bytes."""
    seen = replay.windows
    places = list(range(len(seen)))
    figure = Figure(figsize=(max(7.0, 0.8 * len(seen) + 2.5), 4.8), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, label, colour, mark, style in LINES:
        values = [getattr(window, name) for window in seen]
        width = 2.4 if name == "kept_fit" else 1.4
        axes.plot(places, values, style, marker=mark, color=colour, label=label, linewidth=width)
    every = [getattr(window, name) for window in seen for name, *_ in LINES]
    low, high = min(every), max(every)
    room = (high - low) * 0.12 or 0.01
    alarms = [place for place, window in enumerate(seen) if window.status == "RETRAIN"]
    axes.set_ylim(low - 2 * room, high + 2 * room)
    axes.plot(alarms, [low - room] * len(alarms), "v", color=RED, markersize=9, label="alarm", linestyle="none")
    for place, window in enumerate(seen):
        if window.released:  # in force from the window's end on
            axes.axvline(place + 0.5, color=GREEN, linewidth=1.2)
            new = window.action.rpartition("@")[2]
            axes.text(place + 0.53, high + room, f"@{new}", color=GREEN, fontsize=9, va="center")
        if window.taken_back:
            axes.axvline(place + 0.5, color=RED, linewidth=1.2, linestyle="--")
            axes.text(place + 0.53, low - room, f"@{window.taken_back.rpartition('@')[2]} ×", color=RED, fontsize=9)
    axes.plot([], [], color=GREEN, linewidth=1.2, label="release")
    if any(window.taken_back for window in seen):
        axes.plot([], [], color=RED, linewidth=1.2, linestyle="--", label="taken back: the one before did better")
    axes.set_xticks(places, [window.window.name for window in seen], rotation=45 if len(seen) > 8 else 0)
    axes.set(
        ylabel=seen[0].metric + (" (lower is better)" if seen[0].direction == "lower" else ""),
        title=f"{replay.project}: {seen[0].window.name} to {seen[-1].window.name}, replayed",
    )
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return as_png(figure)
