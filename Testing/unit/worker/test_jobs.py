"""The other jobs in a real process: building a reference, and telling what could compute."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_slices import write_slices
from hostile_dicom import nested, with_inserted
from resting_worker import resting_worker

from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.worker.client import Built, Done, Event, Failed, WorkerClient
from BottleneckOODLib.worker.protocol import DevicesFound, Working
from BottleneckOODLib.worker.python_command import PythonCommand

Until = Callable[..., list[Event]]
AProgram = Callable[[str], PythonCommand]
Model = dict[str, str]


@pytest.fixture(scope="module")
def a_folder_of_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Round bodies of soft tissue and fat, none like another, in a folder with an awkward name.

    With them lie a file that is no image, and a DICOM series that ends the process that decodes it.
    """
    folder = tmp_path_factory.mktemp("scans") / ("Fälle mit Leerzeichen " + "lang " * 20).strip()
    folder.mkdir()
    for number in range(24):
        rng = np.random.default_rng(number)
        z, y, x = np.ogrid[:16, :36, :48]
        radius = ((x - 24) / rng.uniform(16, 22)) ** 2 + ((y - 18) / rng.uniform(11, 15)) ** 2 + 0 * z
        voxels = np.where(radius < 1, np.where(radius < 0.7, rng.uniform(30, 60), -100.0), -1000.0)
        image = sitk.GetImageFromArray((voxels + rng.normal(0, 8, voxels.shape)).astype(np.int16))
        image.SetSpacing((6.0, 6.0, 6.0))
        sitk.WriteImage(image, str(folder / f"größe {number:02d}.nii.gz"))
    (folder / "broken.nii.gz").write_bytes(b"no image")
    write_slices(folder / "deadly", uid="1.2.3")
    with_inserted(folder / "deadly", nested(10_000, defined=True))
    return folder


@pytest.fixture
def a_model_only(small_model: Model) -> Model:
    return {name: value for name, value in small_model.items() if name != "reference"}


def test_a_reference_is_built_from_a_folder_and_judges_the_next_case(
    a_client: WorkerClient,
    a_folder_of_scans: Path,
    a_model_only: Model,
    a_volume: Volume,
    tmp_path: Path,
    until: Until,
    ends: Callable[[int], bool],
) -> None:
    output = tmp_path / "user" / "references" / "eigene Fälle"
    a_client.build_reference(a_folder_of_scans, "eigene Fälle", output, **a_model_only)
    events = until(a_client)
    built = events[-1]
    assert isinstance(built, Built), built
    reference = Reference.load(output)
    assert (built.folder, built.n_cases, built.n_left_out) == (output, len(reference.cases), 2)
    assert built.n_cases == 24
    broken, deadly = built.left_out
    assert broken.startswith("broken: ")
    assert deadly.startswith("deadly: ")
    assert "ended the process that read it" in deadly
    assert a_client._process is not None
    children = Path(f"/proc/{a_client._process.pid}/task/{a_client._process.pid}/children")
    left = children.read_text().split() if children.is_file() else []
    assert [child for child in left if not ends(int(child))] == [], "who read the images is still there"
    assert reference.name == "eigene Fälle"
    assert sorted(case.case_id for case in reference.cases)[0] == "größe 00"
    fractions = [event.fraction for event in events if isinstance(event, Working)]
    assert fractions == sorted(fractions)
    assert len(fractions) >= 24
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    assert a_client._process is not None
    assert [path.name for path in a_client._process.exchange.iterdir()] == ["worker.log"]
    a_client.assess(a_volume, "round", reference=str(output), **a_model_only)
    done = until(a_client)[-1]
    assert isinstance(done, Done), done
    assert done.assessment.reference.n_cases == 24
    here = BottleneckOODLogic(a_model_only["model"], output, "cpu").assess(a_volume, case_id="round")
    assert done.assessment.p_value == here.p_value


def test_what_stands_there_already_is_never_touched(
    a_client: WorkerClient, a_folder_of_scans: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        a_client.build_reference(a_folder_of_scans, "x", tmp_path)
    with pytest.raises(OutputError, match="is a file"):
        a_client.build_reference(a_folder_of_scans, "x", kept / "below")
    assert kept.read_text() == "mine"
    assert not a_client.busy


def test_a_folder_that_appears_while_building_is_kept(
    a_client: WorkerClient, a_folder_of_scans: Path, a_model_only: Model, tmp_path: Path, until: Until
) -> None:
    output = tmp_path / "reference"
    a_client.build_reference(a_folder_of_scans, "x", output, **a_model_only)
    output.mkdir()
    (output / "mine.txt").write_text("mine")
    failed = until(a_client)[-1]
    assert isinstance(failed, Failed)
    assert "exists already" in failed.sentence
    assert [path.name for path in output.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("moment", ["at once", "in the middle", "killed"])
def test_a_stopped_or_killed_build_leaves_nothing(
    a_folder_of_scans: Path, a_model_only: Model, tmp_path: Path, until: Until, go_on: Path, moment: str
) -> None:
    user = tmp_path / "user"
    user.mkdir()
    client = WorkerClient(resting_worker(tmp_path, go_on, fraction=0.3))
    client.build_reference(a_folder_of_scans, "x", user / "there" / "reference", **a_model_only)
    if moment != "at once":
        while not any(isinstance(e, Working) and e.fraction > 0.3 for e in until(client, Working)):
            pass
    assert client._process is not None
    exchange = client._process.exchange
    if moment == "killed":
        client._process._process.kill()
    else:
        client.stop()
        go_on.touch()
    failed = until(client, Failed)[-1]
    assert isinstance(failed, Failed)
    assert failed.stopped is (moment != "killed")
    assert ("build the reference again" in failed.sentence) is (moment == "killed")
    client.close()
    assert list(user.rglob("*")) == []
    assert not exchange.exists()


def test_too_few_or_missing_cases_are_a_sentence_before_the_work(
    a_client: WorkerClient, a_folder_of_scans: Path, a_model_only: Model, tmp_path: Path, until: Until
) -> None:
    table = tmp_path / "cases.csv"
    table.write_text(f"image\n{a_folder_of_scans / 'größe 00.nii.gz'}\n", encoding="utf-8")
    for source, said in ((table, "at least"), (tmp_path / "nothing.csv", "does not exist")):
        a_client.build_reference(source, "x", tmp_path / "out", **a_model_only)
        events = until(a_client)
        assert isinstance(events[-1], Failed)
        assert said in events[-1].sentence
        assert not [event for event in events if isinstance(event, Working) and event.fraction > 0]
    assert not (tmp_path / "out").exists()


def test_one_job_at_a_time_names_what_runs(
    a_client: WorkerClient, a_folder_of_scans: Path, a_volume: Volume, tmp_path: Path
) -> None:
    a_client.build_reference(a_folder_of_scans, "x", tmp_path / "out")
    with pytest.raises(InputError, match="reference is being built"):
        a_client.assess(a_volume, "round")


def test_devices_are_told_without_torch_here(
    a_client: WorkerClient, until: Until, in_a_fresh_interpreter: Callable[[str], set[str]]
) -> None:
    a_client.list_devices()
    assert not a_client.busy
    (found,) = until(a_client, DevicesFound)
    assert isinstance(found, DevicesFound)
    assert found.devices[0].name == "auto"
    assert "cpu" in [device.name for device in found.devices]
    only_cpu = {device.name for device in found.devices} == {"auto", "cpu"}
    assert bool(found.why_no_gpu) is only_cpu
    assert not a_client.expects_news
    assert not {"torch", "monai", "umap", "sklearn"} & in_a_fresh_interpreter("BottleneckOODLib.worker.client")


def test_a_case_need_not_wait_for_the_devices(
    a_client: WorkerClient, a_volume: Volume, small_model: Model, until: Until
) -> None:
    a_client.list_devices()
    a_client.list_devices()
    a_client.assess(a_volume, "round", **small_model)
    events = until(a_client, Done)
    assert [type(event) for event in events if not isinstance(event, Working)] == [DevicesFound, Done]


def test_a_worker_that_dies_while_looking_still_answers(a_program: AProgram, until: Until) -> None:
    client = WorkerClient(a_program("time.sleep(600)"))
    client.list_devices()
    assert client._process is not None
    client._process._process.kill()
    (found,) = until(client, DevicesFound)
    assert isinstance(found, DevicesFound)
    assert found.devices == ()
    assert found.why_no_gpu
    assert not client.expects_news


def test_a_case_s_name_never_becomes_a_path(
    a_client: WorkerClient, a_volume: Volume, small_model: Model, until: Until
) -> None:
    for case_id in ("Zoë & 患者 1", "x" * 250, "CON", "../outside", "a/b:c"):
        a_client.assess(a_volume, case_id, **small_model)
        done = until(a_client)[-1]
        assert isinstance(done, Done), done
        assert done.assessment.case_id == case_id


def test_a_temporary_folder_with_an_awkward_name(
    a_volume: Volume, small_model: Model, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("Ünï cöde & Leerzeichen " + "x" * 100)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    client = WorkerClient()
    client.assess(a_volume, "round", **small_model)
    done = until(client)[-1]
    assert isinstance(done, Done), done
    assert client._process is not None
    assert client._process.exchange.parent == folder
    client.close()
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_an_idle_worker_that_dies_is_noticed_and_replaced(
    a_client: WorkerClient, a_volume: Volume, small_model: Model, until: Until
) -> None:
    a_client.assess(a_volume, "round", **small_model)
    until(a_client)
    assert a_client._process is not None
    exchange = a_client._process.exchange
    a_client._process._process.kill()
    end = time.monotonic() + 120
    while a_client._process is not None and time.monotonic() < end:
        assert a_client.poll() == []
        time.sleep(0.01)
    assert not exchange.exists()
    a_client.assess(a_volume, "round", **small_model)
    assert isinstance(until(a_client)[-1], Done)
