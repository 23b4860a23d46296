"""Write what an installation is made of: every package with its hashes, a bill of materials, and the licences.

    pip install -c constraints.txt uv cyclonedx-bom pip-licenses
    python docs/generate_supply_chain.py

Run it after ``constraints.txt`` or the dependencies in ``pyproject.toml`` changed; the licences are read from the
packages that are installed beside the three tools.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "supply-chain"
EXTRAS = ("nnunet", "scale")
LOCK = [
    "pip", "compile", "pyproject.toml", *(f"--extra={extra}" for extra in EXTRAS), "--constraint=constraints.txt",
    "--universal", "--python-version=3.10", "--no-emit-index-url", "--no-header", "--no-annotate", "--quiet",
]  # fmt: skip
NOT_INSTALLED = "not installed where this list was made; see its page"


def run(tool: str, *arguments: str) -> str:
    command = [str(Path(sys.executable).parent / tool), *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def names_and_versions(lock: str) -> list[tuple[str, str]]:
    """Each package of a lock, once per version."""
    return sorted(set(re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)))


def write_licences(packages: list[tuple[str, str]]) -> None:
    """One row a package; a licence whose whole text stands in the metadata is cut after its first line."""
    said = json.loads(run("pip-licenses", "--format=json", "--with-urls"))
    known = {re.sub(r"[-_.]+", "-", each["Name"]).lower(): each for each in said}
    with (FOLDER / "licences.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["package", "version", "licence", "page"])
        for name, version in packages:
            found = known.get(re.sub(r"[-_.]+", "-", name).lower())
            licence = NOT_INSTALLED if found is None else found["License"].strip().splitlines()[0][:80]
            page = found["URL"] if found and found["URL"] != "UNKNOWN" else f"https://pypi.org/project/{name}/"
            writer.writerow([name, version, licence, page])


def main() -> None:
    """Write the three files."""
    FOLDER.mkdir(exist_ok=True)
    hashed = run("uv", *LOCK, "--generate-hashes")
    (FOLDER / "requirements.lock").write_text(hashed, encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        # The hashes stand in the lock; with them the bill would be ten times as long.
        bare = Path(folder) / "requirements.txt"
        bare.write_text(run("uv", *LOCK), encoding="utf-8")
        run(
            "cyclonedx-py", "requirements", str(bare), "--output-reproducible", "--of=JSON",
            "-o", str(FOLDER / "sbom.cdx.json"),
        )  # fmt: skip
    write_licences(names_and_versions(hashed))


if __name__ == "__main__":
    main()
