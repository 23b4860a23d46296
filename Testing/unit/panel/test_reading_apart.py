"""What the panel opens is read by another process: a file that ends it costs a sentence, and not the application."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_slices import write_slices
from hostile_dicom import nested, with_inserted
from review_desktop import Desktop
from review_stores import ReviewStore

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.panel import case_reading
from BottleneckOODLib.panel.apart import ReadingApart
from BottleneckOODLib.panel.case_reading import CaseReader
from BottleneckOODLib.worker.python_command import PythonCommand, plain_python


@pytest.fixture
def a_deadly_series(tmp_path: Path) -> Path:
    """DICOM files that end the process that decodes them."""
    write_slices(tmp_path / "deadly", uid="1.2.3")
    with_inserted(tmp_path / "deadly", nested(100_000, defined=True))
    return tmp_path / "deadly"


@pytest.mark.skipif(sys.platform != "linux", reason="how deep a library's calls may go differs")
def test_a_file_that_ends_its_reader_is_a_sentence_and_the_next_is_read(
    a_deadly_series: Path, a_ct_file: Path
) -> None:
    apart = ReadingApart()
    with pytest.raises(InputError, match="ended the process that read it"):
        apart.read(a_deadly_series)
    assert np.array_equal(apart.read(a_ct_file).voxels, read_volume(a_ct_file).voxels)
    apart.close()


@pytest.mark.parametrize(
    "python",
    [
        lambda: PythonCommand(("no such interpreter",), {}),
        lambda: PythonCommand((sys.executable, "-c", "raise SystemExit"), plain_python().environment),
        lambda: PythonCommand(plain_python().command, plain_python().environment, hears=False),
    ],
    ids=["missing", "broken", "a launcher alone"],
)
def test_where_no_process_can_be_had_the_files_are_read_here(
    python: Callable[[], PythonCommand], make_review_store: Callable[..., ReviewStore]
) -> None:
    store = make_review_store({"red": "red"})
    apart = ReadingApart(python)
    mask = store.cases["red"] / "segmentation.seg.nrrd"
    for _ in range(2):
        assert apart.read_labels(mask) == read_label_volume(mask)
        assert np.array_equal(apart.read(store.images["red"]).voxels, read_volume(store.images["red"]).voxels)
    assert apart._process is None


def test_cases_of_the_worklist_are_not_decoded_in_this_process(
    make_review_store: Callable[..., ReviewStore],
    desktops: Callable[..., Desktop],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = make_review_store({"red": "red", "amber": "amber"})
    expected = {name: read_volume(path).voxels for name, path in store.images.items()}
    masks = {name: read_label_volume(folder / "segmentation.seg.nrrd") for name, folder in store.cases.items()}

    def here(*_: object, **__: object) -> None:
        raise AssertionError

    for module in ("imaging.reading", "imaging.writing"):
        monkeypatch.setattr(f"BottleneckOODLib.{module}.checked_image", here)
    readers: list[CaseReader] = []

    def kept() -> CaseReader:
        readers.append(CaseReader())
        return readers[-1]

    reader = desktops("Ann", cases=kept).open(store.url)
    for name in ("red", "amber"):
        assert reader.next() == name
        shown = reader.display.shown[-1]
        assert np.array_equal(shown.volume.voxels, expected[name])
        assert shown.assessment.segmentation == masks[name]
    processes = [place.apart._process for place in (readers[0]._now, readers[0]._later)]
    folders = [process._child._folder for process in processes if process is not None and process._child is not None]
    assert len(folders) == 2
    reader.list.close()
    end = time.monotonic() + 120
    while any(folder is not None and folder.exists() for folder in folders):
        assert time.monotonic() < end, "the processes outlive the worklist"
        time.sleep(0.01)


def test_an_image_that_ends_its_reader_leaves_the_worklist_as_it_is(
    make_review_store: Callable[..., ReviewStore],
    desktops: Callable[..., Desktop],
    monkeypatch: pytest.MonkeyPatch,
    a_deadly_series: Path,
) -> None:
    if sys.platform != "linux":
        pytest.skip("how deep a library's calls may go differs")
    store = make_review_store({"red": "red", "amber": "amber"})
    image_of = case_reading._image_of

    def swapped(case: object, assessment: object, read: Callable[..., object]) -> object:
        """As in a store that somebody made to do harm."""
        if case.case_id == "red":  # type: ignore[attr-defined]
            return read(a_deadly_series)
        return image_of(case, assessment, read)  # type: ignore[arg-type]

    monkeypatch.setattr(case_reading, "_image_of", swapped)
    reader = desktops("Ann", cases=CaseReader).open(store.url)
    reader.list.next()
    reader.wait()
    assert "The image deadly ended the process that read it" in reader.list.state.message
    assert reader.list.state.can_move
    reader.list.open_case("amber")
    reader.wait()
    assert reader.case == "amber"
