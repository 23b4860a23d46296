"""What is said of one training case when its point on the map is clicked."""

from __future__ import annotations

from BottleneckOODLib.assessment.assessment import Assessment


def card_text(assessment: Assessment, case_id: str) -> str:
    """A training case in words: its outcome, how it was acquired, and how near it lies if it is a neighbour."""
    point = next((point for point in assessment.map_points if point.case_id == case_id), None)
    if point is None:
        return ""
    outcome = "its Dice is not known" if point.dice is None else f"the model's Dice was {point.dice:.2f}"
    told = [f"{case_id}: {outcome}"]
    neighbour = next((n for n in assessment.neighbours if n.case_id == case_id), None)
    if neighbour is not None:
        told.append(f"{neighbour.relative_distance:.1f} x as far as training cases usually are from their nearest")
    told += [f"{name.replace('_', ' ')} {value}" for name, value in sorted(point.facts.items())]
    return "; ".join(told) + "."
