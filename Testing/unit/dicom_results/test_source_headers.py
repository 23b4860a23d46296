"""The objects belong to the patient and the study of their source, whatever its headers are like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from dicom_objects import STUDY, Exported
from dicom_slices import replace_raw

from BottleneckOODLib.errors import InputError

Write, Export = Callable[..., Path], Callable[..., Exported]
pytestmark = pytest.mark.usefixtures("no_drawing")
IDENTITY = [keyword for keyword in STUDY if keyword not in ("SeriesNumber", "FrameOfReferenceUID")]


def test_patient_and_study_are_those_of_the_source(write_scan: Write, export: Export) -> None:
    made = export(
        write_scan(IssuerOfPatientID="HOSPITAL", PatientIdentityRemoved="YES", DeidentificationMethod="by hand")
    )
    for dataset in made:
        for keyword in (*IDENTITY, "IssuerOfPatientID", "PatientIdentityRemoved", "DeidentificationMethod"):
            assert dataset[keyword].value == made.slices[0][keyword].value, keyword
        assert dataset.StudyInstanceUID == made.slices[0].StudyInstanceUID
    assert [dataset.SeriesNumber for dataset in made] == [401, 402, 403]


def test_what_is_of_no_use_stays_behind(write_scan: Write, export: Export) -> None:
    secrets = {
        "PatientAddress": "1 Secret Street", "PatientComments": "secret", "OtherPatientIDs": "secret-2",
        "InstitutionName": "Secret Hospital", "OperatorsName": "Secret^Operator", "ProtocolName": "secret protocol",
    }  # fmt: skip
    for dataset in export(write_scan(**secrets)):
        assert "ecret" not in str(dataset)


@pytest.mark.parametrize("keyword", IDENTITY)
def test_what_the_source_does_not_tell_is_empty(write_scan: Write, export: Export, keyword: str) -> None:
    for dataset in export(write_scan(**{keyword: None})):
        assert keyword in dataset
        assert not dataset[keyword].value


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "Größer^Zoë=大^一=おお^いち"),
        ("ISO_IR 100", "Ångström^Øystein"),
        ("ISO_IR 144", "Жижинский^Юлия"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_a_name_survives_in_any_script(
    write_scan: Write, export: Export, character_set: str | list[str], name: str
) -> None:
    made = export(write_scan(SpecificCharacterSet=character_set, PatientName=name))
    assert str(made.slices[0].PatientName) == name
    for dataset in made:
        assert str(dataset.PatientName) == name
        assert dataset.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize(
    ("elements", "kept"),
    [
        ({"PatientName": "A" * 70 + "^B"}, {"PatientName": "A" * 70 + "^B"}),
        ({"PatientName": "NoCaret"}, {"PatientName": "NoCaret"}),
        ({"PatientID": "1" * 90}, {"PatientID": "1" * 90}),
        ({"AccessionNumber": "7" * 20, "StudyID": "8" * 20}, {"AccessionNumber": "7" * 20, "StudyID": "8" * 20}),
        ({"PatientBirthDate": "19800230"}, {"PatientBirthDate": ""}),
        ({"PatientBirthDate": "1980.02.28"}, {"PatientBirthDate": "19800228"}),
        # What stands for no date where somebody's program has to have one.
        ({"PatientBirthDate": "00010101"}, {"PatientBirthDate": "00010101"}),
        ({"StudyDate": "January"}, {"StudyDate": ""}),
        ({"StudyTime": "2560"}, {"StudyTime": ""}),
        ({"StudyTime": "08:15:30.5"}, {"StudyTime": "081530.5"}),
        ({"PatientSex": "female"}, {"PatientSex": ""}),
        ({"PatientIdentityRemoved": "maybe"}, {"PatientIdentityRemoved": None}),
    ],
)
def test_values_that_break_the_standard_do_not_stop_the_export(
    write_scan: Write, export: Export, elements: dict[str, str], kept: dict[str, str | None]
) -> None:
    source = write_scan()
    with pydicom.config.disable_value_validation():
        for path in source.iterdir():
            slice_ = pydicom.dcmread(path)
            slice_.update({pydicom.tag.Tag(keyword): element_of(keyword, value) for keyword, value in elements.items()})
            slice_.save_as(path)
    made = export(source)
    with pydicom.config.disable_value_validation():
        for dataset in made:
            assert {keyword: text_of(dataset, keyword) for keyword in kept} == kept


def element_of(keyword: str, value: str) -> pydicom.DataElement:
    tag = pydicom.tag.Tag(keyword)
    return pydicom.DataElement(tag, pydicom.datadict.dictionary_VR(tag), value)


def text_of(dataset: pydicom.Dataset, keyword: str) -> str | None:
    return None if keyword not in dataset else str(dataset[keyword].value or "")


@pytest.mark.parametrize(
    ("elements", "sentence"),
    [
        ({"FrameOfReferenceUID": None}, "FrameOfReferenceUID is missing or no identifier"),
        ({"StudyInstanceUID": None}, "StudyInstanceUID is missing or no identifier"),
        ({"StudyInstanceUID": "study-7"}, "StudyInstanceUID is missing or no identifier"),
        ({"StudyInstanceUID": "1." * 40 + "1"}, "StudyInstanceUID is missing or no identifier"),
        ({"SOPInstanceUID": None}, "SOPInstanceUID is missing or no identifier"),
        ({"SOPInstanceUID": "1.2.3"}, "several have the same SOPInstanceUID"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "no CT or MR image objects"),
    ],
)
def test_slices_that_cannot_be_referred_to_are_refused_in_a_sentence(
    write_scan: Write, export: Export, tmp_path: Path, elements: dict[str, str | None], sentence: str
) -> None:
    source = write_scan(**elements)
    with pytest.raises(InputError, match=sentence) as caught:
        export(source)
    assert str(caught.value).endswith("no DICOM objects were written, export the series again.")
    assert not (tmp_path / "objects").exists()


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_a_series_of_several_studies_or_frames_is_refused(write_scan: Write, export: Export, keyword: str) -> None:
    source = write_scan()
    last = sorted(source.iterdir())[-1]
    slice_ = pydicom.dcmread(last)
    setattr(slice_, keyword, "1.2.99")
    slice_.save_as(last)
    with pytest.raises(InputError, match=f"they differ in {keyword}"):
        export(source)


def test_an_identifier_with_leading_zeros_is_referred_to_as_it_is(write_scan: Write, export: Export) -> None:
    made = export(write_scan(StudyInstanceUID="1.2.003.04", FrameOfReferenceUID="1.02.3"))
    for dataset in made:
        assert dataset.StudyInstanceUID == "1.2.003.04"
    assert made.segmentation.FrameOfReferenceUID == "1.02.3"


@pytest.mark.parametrize(
    ("keyword", "raw"),
    [
        ("PatientName", b"\x1b$B;3ED\x1b(B^\x00"),
        ("PatientName", b"A\\B\\C "),
        ("PatientID", b"\xff\xfe\x80\x00"),
        ("SpecificCharacterSet", b"ISO_IR 999"),
        ("SpecificCharacterSet", b"ISO 2022 IR 87"),
        ("StudyDate", b"20240131\\20250131 "),
        ("SeriesNumber", b"1e400 "),
        ("SeriesNumber", b"-7"),
        ("PatientSex", b"\r\n"),
    ],
)
def test_bytes_that_are_no_text_do_not_stop_the_export(
    write_scan: Write, export: Export, keyword: str, raw: bytes
) -> None:
    source = write_scan(SpecificCharacterSet="ISO_IR 100")
    for path in source.iterdir():
        replace_raw(path, keyword, raw)
    for dataset in export(source):
        assert dataset.StudyInstanceUID == "1.2.826.0.1.3680043.8.498.1"
        assert "\\" not in str(dataset.PatientName)
        assert all(ord(letter) >= ord(" ") for letter in str(dataset.PatientName) + dataset.PatientID)
        assert int(dataset.SeriesNumber) in (401, 402, 403, 1, 2, 3)
