"""The page: from what a report tells to markup, with the template, look and scripts that lie beside this file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Template

from BottleneckOODLib.assessment.decision import RATING_WORDS, REASON_WORDS
from BottleneckOODLib.assessment.reader_names import reader_key
from BottleneckOODLib.assessment.wording import (
    BATCH_NOTE,
    DEMONSTRATION,
    LIGHT_COLOURS,
    MAP_NOTE,
    RESEARCH_USE,
    STATE_WORDS,
    training_cases,
)
from BottleneckOODLib.html_page import STYLE, data_block, escaped, page
from BottleneckOODLib.triage.drift import as_a_whole, over_time
from BottleneckOODLib.triage.report.charts import FALSE_ALARMS, chart_data
from BottleneckOODLib.triage.report.contents import Contents, JudgedBy, ListedCase
from BottleneckOODLib.triage.report.pictures import picture_of
from BottleneckOODLib.triage.store import Found
from BottleneckOODLib.version import __version__

LIGHTS = ("red", "grey", "amber", "green")
"""In the order of the worklist."""
NOT_RATED = "Not rated"
_SHORT = 8
_COLOURS = "".join(f".light.{light} {{ fill: {colour}; }}\n" for light, colour in LIGHT_COLOURS.items())


def report_page(contents: Contents, *, pictures: bool = True) -> str:
    """The whole page.

    Args:
        contents: What it tells.
        pictures: Whether the cases' pictures are shown.
    """
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - slow to import

    data = chart_data(contents)
    drawn = bool(contents.judged or contents.training)
    body = _filled(
        "report.html",
        statements=_statements(contents),
        facts=_facts(contents),
        counts=_counts(contents),
        findings=_findings(contents, data["ranked"]["flagged"]),
        charts=_charts(contents) if drawn else '<p class="empty">No case could be judged, so nothing can be drawn.</p>',
        queue=_queue(contents, pictures=pictures) if contents.listed else '<p class="empty">There is no case yet.</p>',
        failures=_failures(contents),
    )
    body += f"\n{data_block('report-data', data)}"
    scripts = [_beside("charts.js"), _beside("list.js")]
    # Without a chart, four megabytes less.
    scripts[:0] = [get_plotlyjs()] if drawn else []
    return page(f"Triage: {contents.store}", body, style=STYLE + _beside("report.css") + _COLOURS, scripts=scripts)


def _statements(contents: Contents) -> str:
    demonstration = any(judge.head is not None and judge.head.model.demonstration for judge in contents.judges)
    notes = [DEMONSTRATION if demonstration else RESEARCH_USE, BATCH_NOTE]
    return '<div class="note"><ul>' + "".join(f"<li>{escaped(note)}</li>" for note in notes) + "</ul></div>"


def _facts(contents: Contents) -> str:
    n_without = contents.n_known - len(contents.results)
    cases = f"{len(contents.results)} with a result" + (f", {n_without} without one" if n_without else "")
    days = sorted(found.created[:10] for found in contents.results)
    dates = "" if not days else days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    facts = [("Store", contents.store), ("Cases", cases), ("Assessed", dates)]
    for judge in contents.judges:
        facts += _judge_facts(judge, tell_count=len(contents.judges) > 1)
    facts.append(("Report", f"{contents.written[:16].replace('T', ' ')} UTC, BottleneckOOD {__version__}"))
    return "".join(f"<div><dt>{name}</dt><dd><bdi>{escaped(value)}</bdi></dd></div>" for name, value in facts if value)


def _judge_facts(judge: JudgedBy, *, tell_count: bool) -> list[tuple[str, str]]:
    n_cases = f", {judge.n_cases} cases" if tell_count else ""
    if judge.head is None:
        return [("Model", f"not told by any result{n_cases}")]
    model, reference = judge.head.model, judge.head.reference
    by = f"{model.name} {model.version} ({model.fingerprint[:_SHORT]}), BottleneckOOD {judge.head.program_version}"
    counted = training_cases(reference.n_cases, judge.head.n_calibrating)
    compared = f"{reference.name} ({reference.fingerprint[:_SHORT]}), {counted}"
    return [("Model", f"{by}{n_cases}"), ("Reference", compared)]


def _counts(contents: Contents) -> str:
    ratings = _ratings(contents)
    head = "".join(f'<th scope="col">{_light(light)}</th>' for light in LIGHTS)
    lines = []
    for rating, word in ratings.items():
        numbers = [contents.counts.get((light, rating), 0) for light in LIGHTS]
        lines.append(_count_line(word, numbers))
    totals = [sum(contents.counts.get((light, rating), 0) for rating in ratings) for light in LIGHTS]
    return (
        f'<table class="counts"><thead><tr><th scope="col">Last rating</th>{head}<th scope="col">All</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody><tfoot>{_count_line('All', totals)}</tfoot></table>"
    )


def _count_line(word: str, numbers: Sequence[int]) -> str:
    none = '<span class="nil">0</span>'
    cells = "".join(f"<td>{n or none}</td>" for n in [*numbers, sum(numbers)])
    return f'<tr><th scope="row">{escaped(word)}</th>{cells}</tr>'


def _ratings(contents: Contents) -> dict[str, str]:
    """Every rating that the store may hold, with its words; a newer version's stands for itself."""
    unknown = sorted({rating for _, rating in contents.counts} - {"", *RATING_WORDS})
    return {"": NOT_RATED, **RATING_WORDS, **{rating: rating for rating in unknown}}


def _findings(contents: Contents, n_flagged: int) -> str:
    sentences = [
        f"By p-value, {n_flagged} of {len(contents.judged)} judged cases can be flagged with at most "
        f"{FALSE_ALARMS:.0%} false alarms among them.",
        over_time(contents.judged),
    ]
    if contents.calibration is not None:
        sentences.append(as_a_whole("Compared with the reference", list(contents.compared), contents.calibration))
    elif contents.judged:
        sentences.append(
            "Not compared with the reference's own scores, because it is not at hand; name it: --reference."
        )
    if contents.n_damaged:
        sentences.append(f"{contents.n_damaged} rows of decisions are damaged and could not be counted.")
    return "<ul>" + "".join(f"<li>{escaped(sentence)}</li>" for sentence in sentences) + "</ul>"


def _charts(contents: Contents) -> str:
    placed = sum(case.placement is not None for case in contents.listed)
    facts = contents.map_reference
    about_map = (
        f"{placed} of these cases among all training cases of the reference ({len(contents.training)}). {MAP_NOTE}"
    )
    others = {judge.head.reference.name for judge in contents.judges if judge.head and judge.head.reference != facts}
    if facts is not None and others:
        about_map += f" Cases that were compared with another reference than {facts.name} are not on it."
    about_scores = "A score of 1 is as unusual as the farthest 5 of 100 training cases; 4 or more is one bar. "
    if contents.calibration is None:
        about_scores += "Levels are not drawn, because the reference's own scores are not at hand. "
    else:
        about_scores += (
            "Beyond the first line a case is unusual, beyond the second very unusual; the grey steps are as many as "
            "would be there if all cases were like the training cases. "
        )
        if n_others := len(contents.judged) - len(contents.compared):
            about_scores += (
                f"Lines and steps are those of one reference; {n_others} of the cases shown were compared with another "
                "one, and of these only the colour tells how unusual they are. "
            )
    about_scores += "A failed check makes the light amber or red whatever the score."
    return _filled(
        "charts.html",
        no_map="" if facts is not None else '<p class="empty">No case has a place on a map.</p>',
        about_map=escaped(about_map),
        about_scores=about_scores,
        about_ranked=(
            "Every p-value, the smallest first. Up to the last point below the slanted line (Benjamini and Hochberg), "
            f"at most {FALSE_ALARMS:.0%} of what is flagged are false alarms, on average."
        ),
        about_drift=(
            "Each case in the order in which it came: the sum climbs while cases are more unusual than the training "
            "cases (CUSUM). Above the line something has changed; usual cases cross it about once in 930."
        ),
    )


def _queue(contents: Contents, *, pictures: bool) -> str:
    rows, n_missing = [], 0
    for line, case in enumerate(contents.listed):
        picture = picture_of(case.found.folder) if pictures else ""
        n_missing += not picture
        rows.append(_row(line, case, picture))
    remarks = []
    if len(contents.listed) < len(contents.results):
        remarks.append(f"The {len(contents.listed)} most unusual of {len(contents.results)} cases are listed.")
    if not pictures:
        remarks.append("The pictures were left out.")
    elif n_missing:
        remarks.append(
            f"Without a picture: {n_missing}. They could not be read, their folder is not at hand, or they were "
            "assessed before pictures were kept."
        )
    lights = "".join(
        f'<label><input type="checkbox" name="light" value="{light}" checked> {_light(light)} '
        f"<span>({sum(case.found.light == light for case in contents.listed)})</span></label>"
        for light in LIGHTS
    )
    choices = [("any", "any"), *((f"is:{rating}", word) for rating, word in _ratings(contents).items())]
    return _filled(
        "queue.html",
        lights=lights,
        ratings="".join(f'<option value="{escaped(value)}">{escaped(word)}</option>' for value, word in choices),
        n=str(len(contents.listed)),
        remarks="".join(f"<p>{escaped(remark)}</p>" for remark in remarks),
        rows="\n".join(rows),
    )


def _row(line: int, case: ListedCase, picture: str) -> str:
    found = case.found
    standing = case.decisions.standing
    rating = standing[-1].rating if standing else ""
    image = '<span class="nil">none</span>'
    if picture:
        # Its place is kept free, so that nothing jumps when it comes.
        image = f'<img src="{picture}" alt="" loading="lazy" decoding="async" width="96" height="96">'
    p_value = "" if found.p_value is None else f"{found.p_value:.3f}"
    score = "" if found.score is None else f"<small>score {found.score:.2f}</small>"
    return (
        f'<tr id="line-{line}" data-light="{escaped(found.light)}" data-rating="{escaped(rating)}" '
        f'data-p="{"" if found.p_value is None else repr(found.p_value)}">'
        f'<td class="picture">{image}</td><td class="state">{_light(found.light)}</td>'
        f'<th scope="row"><button type="button" class="name"><bdi>{escaped(found.case_id)}</bdi></button>'
        f"<small>{escaped(found.created[:10])}</small></th>"
        f'<td class="said">{escaped(_beside_the_word(found))}</td>'
        f'<td class="p">{p_value or "none"}{score}</td><td class="rating">{_readings(case)}</td></tr>'
    )


def _beside_the_word(found: Found) -> str:
    """The sentence without the light's word where that word stands beside it."""
    said = found.sentence.removeprefix(f"{STATE_WORDS.get(found.light, '')}: ")
    return said[:1].upper() + said[1:]


def _readings(case: ListedCase) -> str:
    """The last standing rating of each reader, with why."""
    last = {reader_key(decision.reader): decision for decision in case.decisions.standing}
    if not last:
        return f'<span class="nil">{NOT_RATED}</span>'
    told = []
    for decision in last.values():
        why = [REASON_WORDS.get(reason, reason) for reason in decision.reasons]
        why += [decision.note] if decision.note.strip() else []
        reasons = f"<small>{escaped('; '.join(why))}</small>" if why else ""
        word = escaped(RATING_WORDS.get(decision.rating, decision.rating))
        told.append(f"<p><b>{word}</b> <bdi>{escaped(decision.reader)}</bdi>{reasons}</p>")
    return "".join(told)


def _failures(contents: Contents) -> str:
    failed = [(line, case.found) for line, case in enumerate(contents.listed) if case.found.light == "grey"]
    if not failed:
        return ""
    lines = "".join(
        f'<li><a href="#line-{line}"><bdi>{escaped(found.case_id)}</bdi></a>: {escaped(_beside_the_word(found))}</li>'
        for line, found in failed
    )
    title = '<h2 id="failures-title">Could not be assessed</h2>'
    return f'<section aria-labelledby="failures-title" class="failures">{title}<ul>{lines}</ul></section>'


def _light(light: str) -> str:
    """Shape, word and colour together."""
    known = light if light in STATE_WORDS else "grey"
    shape = f'<svg class="light {known}" aria-hidden="true"><use href="#light-{known}"/></svg>'
    return f'<span class="of-light">{shape} <span>{escaped(STATE_WORDS[known])}</span></span>'


def _filled(name: str, **parts: str) -> str:
    return Template(_beside(name)).substitute(parts)


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
