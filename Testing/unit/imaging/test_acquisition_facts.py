"""What a hospital types into a field of the acquisition does not become a fact where it could name somebody."""

from __future__ import annotations

import pydicom
import pytest

from BottleneckOODLib.imaging.dicom import acquisition_facts

FREE = ("Manufacturer", "ManufacturerModelName", "ConvolutionKernel")
CODED = ("ScanningSequence", "SequenceVariant", "PatientPosition", "BodyPartExamined")
NUMBERS = ("SliceThickness", "KVP", "MagneticFieldStrength", "RepetitionTime", "EchoTime", "FlipAngle")


def facts_of(**elements: object) -> dict[str, str | float]:
    header = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return acquisition_facts(header)


@pytest.mark.parametrize("keyword", [*FREE, *CODED])
@pytest.mark.parametrize("text", ["DOE^JANE", "4711081", "1963-04-12", "12.4.1963", "ward 3 \u00e4rztin", "x\ny"])
def test_what_looks_like_a_name_a_number_or_a_date_is_no_fact(keyword: str, text: str) -> None:
    assert facts_of(**{keyword: text}) == {}


@pytest.mark.filterwarnings("ignore")
def test_a_text_longer_than_its_type_allows_is_no_fact() -> None:
    assert facts_of(Manufacturer="a" * 65) == {}
    assert facts_of(Manufacturer="a" * 64) == {"manufacturer": "a" * 64}


@pytest.mark.parametrize("keyword", FREE)
@pytest.mark.parametrize(
    ("whose", "value"), [("PatientName", "Doe^Jane"), ("PatientID", "jane-7"), ("AccessionNumber", "A1 Jane")]
)
def test_a_word_of_the_patients_identifiers_is_no_fact(keyword: str, whose: str, value: str) -> None:
    assert facts_of(**{keyword: "scan of JANE", whose: value}) == {}
    assert len(facts_of(**{keyword: "scan of JANE", whose: "other"})) == 1


@pytest.mark.parametrize("keyword", CODED)
def test_a_coded_value_is_one_of_the_standards_terms(keyword: str) -> None:
    assert facts_of(**{keyword: "JANE"}) == {}


@pytest.mark.parametrize("keyword", NUMBERS)
def test_a_number_that_no_scanner_can_do_is_no_fact(keyword: str) -> None:
    assert facts_of(**{keyword: "19630412"}) == {}
    assert len(facts_of(**{keyword: "2.5"})) == 1


def test_what_scanners_write_is_kept() -> None:
    assert facts_of(
        Manufacturer="Philips Medical Systems, Inc.", ManufacturerModelName="SOMATOM Definition AS+",
        ConvolutionKernel=["Br40d", "3"], ScanningSequence=["SE", "IR"], SequenceVariant="NONE",
        PatientPosition="FFS", BodyPartExamined="abdomen",
    ) == {
        "manufacturer": "Philips Medical Systems, Inc.", "scanner_model": "SOMATOM Definition AS+",
        "kernel": "Br40d\\3", "scanning_sequence": "SE\\IR", "sequence_variant": "NONE",
        "patient_position": "FFS", "body_part": "ABDOMEN",
    }  # fmt: skip
