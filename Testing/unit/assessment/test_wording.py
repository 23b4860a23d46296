"""What is said of a result never says that the mask is right, and always asks to review it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.assessment.checks import calibrated_checks, input_checks, mask_checks
from BottleneckOODLib.assessment.wording import (
    BEYOND_MAP,
    DEMONSTRATION,
    MAP_NOTE,
    NO_REGIONS,
    NOT_FOR_CLINICAL_USE,
    PART_QUESTIONS,
    PART_REASONS,
    REGIONS_LEGEND,
    REGIONS_NOTE,
    REGIONS_SCALE,
    STATE_SHAPES,
    STATE_WORDS,
    light_sentence,
    missing_spaces,
    preliminary_sentence,
    training_cases,
    unreachable_levels,
)
from BottleneckOODLib.imaging.mask_features import MaskFeatures
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.reference.scoring import PartScore

LIGHTS = ("green", "amber", "red", "grey")
PROMISES = re.compile(r"\b(ok|okay|pass|passe[sd]|safe(ly)?|correct(ly)?|normal(ly)?)\b", re.IGNORECASE)
REASONS = (
    None,
    "The model found no liver in this image.",
    "The mask is almost empty (3 ml).",
    "The image is MR, but the model was trained on CT.",
    "The voxels of 0.1 x 0.1 x 9.5 mm are outside what the model can have seen.",
    "CT is needed.",
    'The model "demo" has no reference yet; build one with: bottleneck-ood reference build.',
    "The features cannot be compared: a bottleneck feature is not a finite number.",
)
judged = {
    "percentile": st.floats(0, 100),
    "p_value": st.floats(1e-4, 1),
    "farthest_part": st.none() | st.sampled_from([*PART_REASONS, "a new space"]),
    "reason": st.sampled_from(REASONS),
    "beside": st.sampled_from(REASONS),
}


def assert_well_said(sentence: str) -> None:
    """One sentence, without a promise, that ends in a call to review the mask."""
    assert not PROMISES.search(sentence), sentence
    assert sentence.endswith(".")
    assert not re.search(r"[.!?]\s", sentence), sentence
    assert "\n" not in sentence
    assert sentence[0].isupper()
    call = sentence.rsplit("; ", 1)[1]
    assert "review" in call
    assert "mask" in call
    for slip in ("  ", " ;", ";;", ": ;", ": ,", ",,", " .", "..", "None", "nan"):
        assert slip not in sentence, sentence


@settings(deadline=None)
@given(light=st.sampled_from(LIGHTS), **judged)
def test_every_sentence_asks_for_a_review_and_promises_nothing(
    light: str, percentile: float, p_value: float, farthest_part: str | None, reason: str | None, beside: str | None
) -> None:
    sentence = light_sentence(
        light, percentile=percentile, p_value=p_value, farthest_part=farthest_part, reason=reason, beside=beside
    )
    assert_well_said(sentence)
    assert sentence.startswith(STATE_WORDS[light])


@pytest.mark.parametrize("reason", REASONS)
def test_a_grey_sentence_needs_no_number(reason: str | None) -> None:
    sentence = light_sentence("grey", percentile=None, p_value=None, farthest_part=None, reason=reason)
    assert_well_said(sentence)
    if reason is not None:
        assert reason[1:].rstrip(".") in sentence


@pytest.mark.parametrize("light", ["amber", "red"])
@pytest.mark.parametrize("reason", REASONS[1:])
def test_a_reason_needs_no_number(light: str, reason: str) -> None:
    sentence = light_sentence(light, percentile=None, p_value=None, farthest_part=None, reason=reason)
    assert_well_said(sentence)
    assert reason[1:].rstrip(".") in sentence


@pytest.mark.parametrize("light", ["green", "amber", "red"])
def test_a_sentence_without_percentile_has_no_hole(light: str) -> None:
    for part in (None, "mask_shape"):
        assert_well_said(light_sentence(light, percentile=None, p_value=0.05, farthest_part=part, reason=None))


@settings(deadline=None)
@given(percentile=st.integers(0, 100), light=st.sampled_from(["green", "amber", "red"]))
def test_the_percentile_is_placed(percentile: int, light: str) -> None:
    sentence = light_sentence(light, percentile=percentile, p_value=0.05, farthest_part="mask_shape", reason=None)
    assert f"more unusual than {percentile} of 100 training cases" in sentence


@settings(deadline=None)
@given(one_in=st.integers(2, 5000), light=st.sampled_from(["amber", "red"]))
def test_the_p_value_is_told_as_one_in_so_many(one_in: int, light: str) -> None:
    sentence = light_sentence(light, percentile=99.0, p_value=1 / one_in, farthest_part=None, reason=None)
    assert f"about 1 in {one_in} cases" in sentence


@settings(deadline=None)
@given(p_value=st.floats(1e-4, 1), percentile=st.floats(0, 100))
def test_a_green_sentence_tells_no_rarity(p_value: float, percentile: float) -> None:
    sentence = light_sentence(
        "green", percentile=percentile, p_value=p_value, farthest_part="bottleneck", reason="A reason."
    )
    assert "1 in" not in sentence
    assert "most of all" not in sentence


@pytest.mark.parametrize("part", PART_REASONS)
@pytest.mark.parametrize("light", ["amber", "red"])
def test_the_farthest_space_is_named_in_plain_words(light: str, part: str) -> None:
    sentence = light_sentence(light, percentile=97.0, p_value=0.04, farthest_part=part, reason=None)
    assert f"most of all {PART_REASONS[part]}" in sentence
    assert "_" not in sentence


def test_a_failed_check_is_told_instead_of_the_place() -> None:
    said = light_sentence(
        "red", percentile=12.0, p_value=0.9, farthest_part="mask_shape", reason="The model found no liver."
    )
    assert "the model found no liver" in said
    assert "12 of 100" not in said


@pytest.mark.parametrize("light", ["amber", "red"])
def test_a_failed_check_beside_the_p_value_is_named_and_the_place_too(light: str) -> None:
    said = light_sentence(
        light,
        percentile=92.0,
        p_value=0.08,
        farthest_part="mask_shape",
        reason=None,
        beside="The scan covers 415 x 415 mm and 3 mm from head to foot, too little for a liver.",
    )
    assert_well_said(said)
    assert "3 mm from head to foot, too little for a liver" in said
    assert f"92 of 100 training cases, most of all {PART_REASONS['mask_shape']}" in said


@pytest.mark.parametrize(
    ("n_calibrating", "told"),
    [
        (None, "20 training cases"),
        (20, "20 training cases"),
        (19, "19 training cases (1 more, whose mask failed, calibrates nothing)"),
        (12, "12 training cases (8 more, whose mask failed, calibrate nothing)"),
    ],
)
def test_the_cases_of_a_reference_are_counted_in_one_way(n_calibrating: int | None, told: str) -> None:
    assert training_cases(20, n_calibrating) == told


@pytest.mark.parametrize(
    ("reason", "clause"),
    [
        ("CT is needed.", ": CT is needed;"),
        ("The mask.", ": the mask;"),
        ("MR.", ": MR;"),
        ("A.", ": a;"),
        (" The part X. ", ": the part X;"),
    ],
)
def test_a_reason_becomes_a_clause_and_names_keep_their_capitals(reason: str, clause: str) -> None:
    assert clause in light_sentence("red", percentile=None, p_value=None, farthest_part=None, reason=reason)


def test_the_four_states_differ_in_word_and_shape() -> None:
    assert set(STATE_WORDS) == set(STATE_SHAPES) == set(LIGHTS)
    assert len(set(STATE_WORDS.values())) == len(set(STATE_SHAPES.values())) == 4


def test_the_calls_differ_by_light_and_get_stronger() -> None:
    calls = {
        light: light_sentence(light, percentile=50.0, p_value=0.05, farthest_part=None, reason=None).rsplit("; ", 1)[1]
        for light in LIGHTS
    }
    assert len(set(calls.values())) == 4
    assert "do not rely" in calls["red"]
    assert "care" in calls["amber"]


def test_every_space_that_is_measured_has_its_words() -> None:
    assert set(PART_REASONS) == set(PART_QUESTIONS)
    assert len(set(PART_QUESTIONS.values())) == len(PART_QUESTIONS)


def test_no_fixed_text_promises_anything() -> None:
    texts = [*STATE_WORDS.values(), *PART_REASONS.values(), *PART_QUESTIONS.values()]
    texts += [BEYOND_MAP, DEMONSTRATION, MAP_NOTE, NOT_FOR_CLINICAL_USE]
    for text in texts:
        assert not PROMISES.search(text), text


def test_no_check_promises_anything(a_small_ct: Volume) -> None:
    zeros = {"shape": a_small_ct.voxels[0, 0, :11], "intensity": a_small_ct.voxels[0, 0, :6]}
    masks = [None]
    masks += [
        MaskFeatures(ml, n, share, border, **zeros) for ml, n, share, border in ((1500, 1, 1, 0), (5, 9, 0.1, 0.5))
    ]
    checks = [check for model in ("CT", "MR") for check in input_checks(a_small_ct, model)]
    checks += [check for mask in masks for check in mask_checks(mask)]
    checks += calibrated_checks({name: PartScore(1.0, p, 50.0, 0.5) for name in PART_QUESTIONS for p in (0.01, 0.5)})
    for check in checks:
        assert not PROMISES.search(check.message), check.message


def test_the_sentence_that_a_reader_sees_in_doubt_says_no_clinical_use() -> None:
    assert "not for clinical use" in DEMONSTRATION.lower()
    assert "not for clinical use" in NOT_FOR_CLINICAL_USE.lower()


def test_the_map_of_regions_is_told_to_be_neither_of_tumours_nor_of_errors_and_asks_for_review() -> None:
    assert "no map of tumours" in REGIONS_NOTE
    assert "none of errors" in REGIONS_NOTE
    assert REGIONS_NOTE.endswith("review the mask everywhere.")
    for text in (REGIONS_NOTE, REGIONS_LEGEND, REGIONS_SCALE, NO_REGIONS):
        assert not PROMISES.search(text)


def test_a_grey_sentence_tells_no_place_whatever_is_known() -> None:
    told = light_sentence("grey", percentile=97.0, p_value=0.01, farthest_part="mask_shape", reason=None)
    assert told == "Could not be assessed; review the mask as if there were no light."


@pytest.mark.parametrize("reason", [None, "The scan covers too little."])
def test_a_green_sentence_tells_the_place_and_nothing_else(reason: str | None) -> None:
    told = light_sentence("green", percentile=41.6, p_value=0.6, farthest_part="mask_shape", reason=reason)
    place = "more unusual than 42 of 100 training cases"
    assert told == f"Similar to the training cases: {place}; review the mask as you would any other."


@pytest.mark.parametrize("light", LIGHTS)
def test_a_light_before_the_mask_is_told_to_be_preliminary(light: str) -> None:
    told = preliminary_sentence(light)
    assert told.startswith("Preliminary, before the mask is there")
    assert STATE_WORDS[light] in told
    assert_well_said(told)


@pytest.mark.parametrize(("n_cases", "reachable"), [(20, False), (48, False), (49, True), (200, True)])
def test_a_reference_too_small_for_red_is_told_with_its_number_of_cases(n_cases: int, reachable: bool) -> None:
    said = unreachable_levels(1 / (n_cases + 1))
    assert len(said) == (not reachable)
    for sentence in said:
        assert f"With {n_cases} training cases" in sentence
        assert sentence.endswith("build the reference from more cases.")


def test_a_reference_that_does_not_count_how_sure_the_network_is_is_told() -> None:
    assert missing_spaces([*PART_REASONS]) == []
    (sentence,) = missing_spaces(["bottleneck", "mask_shape"])
    assert "how sure the network is" in sentence
    assert sentence.endswith("build the reference again.")


@pytest.mark.parametrize(("reason", "told"), [(None, "the scan is thin"), ("The mask is scattered.", "the mask is")])
def test_without_a_place_a_check_beside_is_the_reason_where_there_is_no_other(reason: str | None, told: str) -> None:
    said = light_sentence(
        "amber", percentile=None, p_value=None, farthest_part=None, reason=reason, beside="The scan is thin."
    )
    assert said.startswith(f"Unusual: {told}")
    assert_well_said(said)
