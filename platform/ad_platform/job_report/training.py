"""What was measured while a detector was fitted."""

from ad_platform.job_report.subject import Subject
from ad_platform.pages import notation, plots
from ad_platform.pages.frame import Part
from ad_platform.pages.plots import Axis, Line, Plot

MOST_CURVES = 6  # of a fit
MOST_POINTS = 300  # of each


def training(subject: Subject) -> Part | None:
    """Show what was measured while the detector was fitted."""
    if subject.train is None:
        return None
    names = sorted({name for point in subject.points for name in point.metrics if not _of_machine(name)})
    if not names:
        words = "No curve was kept: the fit took too few steps to write a checkpoint, or keeps none."
        return Part(title="Training", html=f"<p>{words}</p>")
    shown = names[:MOST_CURVES]
    drawn = [_curve(subject, name) for name in shown]
    last = max(point.step for point in subject.points)
    more = f" Shown are {len(shown)} of {len(names)} measures." if len(names) > len(shown) else ""
    words = f"What was measured in {last:,} steps, up to the newest checkpoint.{more}"
    return Part(title="Training", html=f"<p>{words}</p>{plots.figures(drawn, 'training')}")


def _of_machine(name: str) -> bool:
    return name.startswith("system/")


def _curve(subject: Subject, name: str) -> Plot:
    points = [(float(point.step), point.metrics[name]) for point in subject.points if name in point.metrics]
    kept = plots.averaged(points, MOST_POINTS)
    values = [value for _, value in kept]
    low, high = plots.span(values)
    first, last = plots.span([step for step, _ in kept])
    average = f", averaged over {len(points) / len(kept):.0f} steps each" if len(kept) < len(points) else ""
    return Plot(
        title=name,
        words=f"From {notation.number(values[0])} to {notation.number(values[-1])}{average}.",
        across=Axis(label="step", low=first, high=last),
        up=Axis(label=name, low=low, high=high),
        lines=[Line(name=name, points=kept, strong=True, named=False)],
    )
