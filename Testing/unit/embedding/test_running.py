"""What is saved is what the pass gave; a run that was stopped goes on; a bad case does not stop the others."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from last_digits import assert_same_numbers

from BottleneckOODLib.case_measuring import measured_case
from BottleneckOODLib.embedding.folder import FLIPS, OUTPUTS, PERFORMANCE
from BottleneckOODLib.embedding.running import ALWAYS, EmbeddingPlan, EmbeddingReport, embed_cases
from BottleneckOODLib.errors import Cancelled, InputError
from BottleneckOODLib.gathering.case import CaseForReference
from BottleneckOODLib.model.bottleneck import share_in_windows
from BottleneckOODLib.model.preprocessing import Preprocessing
from BottleneckOODLib.model.segmenter import Segmenter
from BottleneckOODLib.ood.metrics import dice
from BottleneckOODLib.ood.output_scores import disagreement
from BottleneckOODLib.ood.pooling import pool_in_mask, pool_tokens
from BottleneckOODLib.progress import CancelToken, Progress

MakeCase = Callable[..., CaseForReference]


def embed(segmenter: Segmenter, cases: list[CaseForReference], output: Path, **options: Any) -> EmbeddingReport:
    plan = EmbeddingPlan(**{name: options.pop(name) for name in ("stages", "flips", "logits") if name in options})
    return embed_cases(segmenter, cases, output, plan, **options)


def saved(output: Path, part: str, name: str = "one") -> np.ndarray:
    return np.load(output / part / f"{name}.npy", allow_pickle=False)


def files_of(output: Path) -> dict[str, bytes]:
    return {str(p.relative_to(output)): p.read_bytes() for p in sorted(output.rglob("*")) if p.is_file()}


def outcomes_of(output: Path) -> dict[str, dict[str, str]]:
    with (output / PERFORMANCE).open(newline="") as stream:
        return {row["filename"]: row for row in csv.DictReader(stream)}


def test_the_features_are_those_that_a_reference_and_an_assessment_take(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path
) -> None:
    case = a_case("one")
    embed(a_segmenter, [case], tmp_path / "out")
    measured = measured_case(case.load()[0], a_segmenter, "mean")
    assert measured.mask is not None
    for space, vector in measured.features.items():
        part = "bottleneck_pooled" if space == "bottleneck" else space
        found = saved(tmp_path / "out", part)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, vector, rtol=1e-5, atol=1e-6)


def test_tokens_and_what_is_pooled_in_the_mask_are_those_of_the_pass(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path
) -> None:
    case, out = a_case("one"), tmp_path / "out"
    embed(a_segmenter, [case], out, logits=True)
    tensor, _ = Preprocessing.of_model(a_segmenter.model).apply(case.load()[0])
    output = a_segmenter.run(tensor)
    assert_same_numbers(saved(out, "bottleneck"), output.bottleneck.tokens)
    np.testing.assert_allclose(saved(out, OUTPUTS).astype(np.float32), output.logits, rtol=1e-2, atol=1e-3)
    mask = output.logits.argmax(axis=0) > 0
    tokens, starts = output.bottleneck.tokens, output.bottleneck.window_starts
    organ = share_in_windows(mask, starts, a_segmenter.model.inference.patch, tokens.shape[2:])
    np.testing.assert_allclose(saved(out, "bottleneck_in_mask"), pool_in_mask(tokens, organ), rtol=1e-5)
    assert not np.allclose(saved(out, "bottleneck_in_mask"), saved(out, "bottleneck_pooled"), rtol=1e-3)


def test_a_stage_is_the_mean_and_deviation_of_all_its_tokens(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path
) -> None:
    out, n = tmp_path / "out", len(a_segmenter.stage_names)
    embed(a_segmenter, [a_case("one")], out, stages=True)
    assert {p.name for p in out.iterdir() if p.is_dir()} == {"cases", *EmbeddingPlan(stages=True).parts(n)}
    tensor, _ = Preprocessing.of_model(a_segmenter.model).apply(a_case("one").load()[0])
    bottleneck = a_segmenter.run(tensor).bottleneck
    expected = pool_tokens(bottleneck.tokens, bottleneck.occupied, "mean_std")
    np.testing.assert_allclose(saved(out, f"stage_{n}"), expected, atol=1e-4 * np.abs(bottleneck.tokens).max())
    assert [len(saved(out, f"stage_{i}")) for i in range(1, n + 1)] == [8, 16, 32]
    assert not np.allclose(saved(out, "stage_1"), saved(out, "stage_1_in_mask"), rtol=1e-3)


def test_flips_hold_the_image_as_it_is_and_four_mirrored_ones(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    embed(a_segmenter, [a_case("one")], out, flips=True, logits=True)
    members = {path.stem: np.load(path) for path in sorted((out / FLIPS / "one").iterdir())}
    assert len(members) == 5
    np.testing.assert_array_equal(members["as_it_is"], saved(out, OUTPUTS))
    masks = [logits.argmax(axis=0) > 0 for logits in members.values()]
    assert {mask.shape for mask in masks} == {members["as_it_is"].shape[1:]}
    assert 0 < disagreement(masks) < 1


def test_the_table_has_the_outcomes_of_cases_with_labels_only(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path
) -> None:
    cases = [a_case("with"), a_case("without", labelled=False)]
    report = embed(a_segmenter, cases, tmp_path / "out")
    assert (report.embedded, report.labelled) == (2, 1)
    table = outcomes_of(tmp_path / "out")
    assert list(table) == ["with"]
    volume, truth = cases[0].load()
    assert truth is not None
    mask = measured_case(volume, a_segmenter, "mean").segmentation.labels > 0
    assert float(table["with"]["DICE_Score"]) == pytest.approx(dice(mask, truth.labels > 0), abs=1e-6)
    assert float(table["with"]["HD"]) >= float(table["with"]["SD"]) > 0


def test_labels_that_come_later_are_measured_and_stay(a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path) -> None:
    out = tmp_path / "out"
    embed(a_segmenter, [a_case("one", labelled=False)], out)
    later = replace(a_case("one"), labelled=True)
    report = embed(a_segmenter, [later], out)
    assert (report.embedded, report.labelled) == (1, 1)
    table = outcomes_of(out)
    # A list without labels, given for another part, does not take the outcome away.
    embed(a_segmenter, [a_case("one", labelled=False)], out, logits=True)
    assert outcomes_of(out) == table
    assert list(table) == ["one"]
    assert embed(a_segmenter, [later], out).kept == 1


def test_a_second_run_adds_nothing_and_runs_no_model(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases, out = [a_case("one"), a_case("two")], tmp_path / "out"
    embed(a_segmenter, cases, out)
    before = files_of(out)
    monkeypatch.setattr(a_segmenter, "run", None)
    report = embed(a_segmenter, cases, out)
    assert (report.embedded, report.kept) == (0, 2)
    assert files_of(out) == before


def test_a_run_that_was_stopped_goes_on_to_the_same_end(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path
) -> None:
    cases = [a_case("one"), a_case("two"), a_case("three")]
    embed(a_segmenter, cases, tmp_path / "whole", stages=True)
    token = CancelToken()

    def stop_in_the_second(progress: Progress) -> None:
        if progress.fraction > 0.5:
            token.cancel()

    with pytest.raises(Cancelled):
        embed(a_segmenter, cases, tmp_path / "out", stages=True, progress=stop_in_the_second, cancel=token)
    left = {path.stem for path in (tmp_path / "out").rglob("*.npy")}
    assert left == {"one"}
    assert list(outcomes_of(tmp_path / "out")) == ["one"]
    report = embed(a_segmenter, cases, tmp_path / "out", stages=True)
    assert (report.embedded, report.kept) == (2, 1)
    assert files_of(tmp_path / "out").keys() == files_of(tmp_path / "whole").keys()
    for path in (tmp_path / "whole").rglob("*.npy"):
        assert_same_numbers(np.load(tmp_path / "out" / path.relative_to(tmp_path / "whole")), np.load(path))
    whole = outcomes_of(tmp_path / "whole")
    for name, row in outcomes_of(tmp_path / "out").items():
        for column in ("DICE_Score", "HD", "SD"):
            assert float(row[column]) == pytest.approx(float(whole[name][column]), rel=1e-2)
    assert list(outcomes_of(tmp_path / "out")) == list(whole) == ["one", "three", "two"]


def test_what_a_new_option_asks_for_is_added(a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path) -> None:
    out = tmp_path / "out"
    embed(a_segmenter, [a_case("one")], out, logits=True)
    report = embed(a_segmenter, [a_case("one")], out, stages=True)
    assert report.embedded == 1
    assert (out / "stage_1" / "one.npy").is_file()
    assert embed(a_segmenter, [a_case("one")], out, stages=True, logits=True).kept == 1


def test_a_case_that_cannot_be_used_is_told_and_leaves_nothing(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path
) -> None:
    cases = [a_case("bad", unreadable=True), a_case("shifted", shifted_mm=30), a_case("good")]
    report = embed(a_segmenter, cases, tmp_path / "out")
    assert report.embedded == 1
    assert [line.split(":")[0] for line in report.left_out] == ["bad", "shifted"]
    assert "export it again" in report.left_out[0]
    assert "labels lie elsewhere" in report.left_out[1]
    assert {path.stem for path in (tmp_path / "out").rglob("*.npy")} == {"good"}


def test_no_case_at_all_is_a_mistake(a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="None of the 1 cases could be used; the first is bad: The image"):
        embed(a_segmenter, [a_case("bad", unreadable=True)], tmp_path / "out")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a", "b", "a"], "a stands for several"),
        (["a", "A"], "a and A are one file on some systems"),
        (["a/b"], "'a_b'"),
        ([".a"], "'a'"),
    ],
)
def test_names_must_be_those_of_files_and_differ(
    names: list[str], told: str, a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told):
        embed(a_segmenter, [a_case(name) for name in names], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_empty_mask_has_zeros_and_the_body_s_features(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = a_segmenter._network.forward

    def nothing(windows: torch.Tensor) -> torch.Tensor:
        return forward(windows) * 0 + torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1)

    monkeypatch.setattr(a_segmenter._network, "forward", nothing)
    out = tmp_path / "out"
    report = embed(a_segmenter, [a_case("one")], out, stages=True)
    assert report.empty == ("one",)
    for part in ("mask_shape", "mask_intensity", "output_confidence"):
        assert not saved(out, part).any()
    np.testing.assert_array_equal(saved(out, "bottleneck_in_mask"), saved(out, "bottleneck_pooled"))
    np.testing.assert_array_equal(saved(out, "stage_2_in_mask"), saved(out, "stage_2"))
    (row,) = outcomes_of(out).values()
    assert (float(row["DICE_Score"]), row["HD"], row["SD"]) == (0.0, "", "")


def test_progress_rises_to_the_whole_and_names_one_step(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path
) -> None:
    told: list[Progress] = []
    embed(a_segmenter, [a_case("one"), a_case("two")], tmp_path / "out", flips=True, progress=told.append)
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any(0 < fraction < 0.45 for fraction in fractions)
    assert len({progress.step for progress in told}) == 1
    assert told[-1].seconds_left is not None


def test_what_is_always_saved_has_no_stage_and_no_output() -> None:
    assert EmbeddingPlan().parts(3) == ALWAYS
    parts = EmbeddingPlan(stages=True, flips=True, logits=True).parts(2)
    assert parts[len(ALWAYS) :] == ("stage_1", "stage_2", "stage_1_in_mask", "stage_2_in_mask", OUTPUTS, FLIPS)


def test_logits_beyond_half_precision_stay_finite(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = a_segmenter._network.forward
    monkeypatch.setattr(a_segmenter._network, "forward", lambda windows: forward(windows) * 1e8)
    embed(a_segmenter, [a_case("one")], tmp_path / "out", logits=True)
    assert np.isfinite(saved(tmp_path / "out", OUTPUTS)).all()


def test_how_far_members_disagree_is_saved_where_a_model_has_members(
    a_segmenter: Segmenter, a_case: MakeCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed(a_segmenter, [a_case("one")], tmp_path / "without")
    plain = Segmenter.run

    def with_members(self: Segmenter, *arguments: Any, **named: Any) -> Any:
        return replace(plain(self, *arguments, **named), disagreement={"folds": 0.5, "mirroring": 0.25})

    monkeypatch.setattr(Segmenter, "run", with_members)
    embed(a_segmenter, [a_case("one")], tmp_path / "with")
    assert not (tmp_path / "without" / "disagreement").exists()
    np.testing.assert_array_equal(saved(tmp_path / "with", "disagreement"), np.float32([0.25, 0.5]))
