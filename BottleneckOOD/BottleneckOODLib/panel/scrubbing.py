"""Text without anything that could name a person, a case or a computer: only words that are known to be harmless stay.

A list of what to take out would always miss a name that somebody gave to a file. So it is the other way round: a word
stays when the program itself uses it in its sentences, or when it is a technical one of the list below; a number stays
when it is short; a path stays from the library's folder on. Everything else becomes ``<...>``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

GONE = "<...>"
_LIBRARY = Path(__file__).resolve().parents[1]
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z])?")
_DOCSTRING = re.compile(r'"""(?s:.*?)"""')
_LITERAL = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'(?!\w)|«[^»]*»|`[^`]*`")
_NUMBER = re.compile(r"[-+]?\d{1,4}(?:\.\d{1,4})?(?:[%x]|gib|mib|gb|mb|kb|ms|s|mm|ml)?", re.IGNORECASE)
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}(?:\.\d{1,3})?(?:\+(?:cpu|cu\d{2,3}|rocm[\d.]{1,5}))?")
_DOTTED = re.compile(
    r"(?:torch|monai|numpy|scipy|SimpleITK|safetensors|umap|numba|faiss|einops|BottleneckOODLib)(?:\.[A-Za-z]\w*)*"
)
_ERROR_NAME = re.compile(r"(?:[a-z]\w*\.)*[A-Z][A-Za-z]*(?:Error|Exception|Warning|Interrupt|Exit)")
_FRAME = re.compile(r'(?P<indent>\s*)File "(?P<path>.*)", line (?P<line>\d+), in (?P<name>\S+)\s*')
_CODE_ROOT = re.compile(r"(?:BottleneckOODLib|site-packages|dist-packages|lib[/\\]python3\.\d+|Lib)(?=[/\\])")
_EDGES = ".,;:!?()[]{}=*-"
_TECHNICAL_WORDS = """
a aborted access address allocate allocated allocation allocator an and are argument arguments array as at attribute
available backend bad be been bfloat16 bool buffer build but by bytes call called cannot capability channel channels
core cpu cublas cuda cudnn data default denied detected device devices dimension disk dll does driver dtype dump
during dynamic empty enough error exceeded exception expected failed fault file files float float32 for found free
from function got gpu has have header host id illegal image import in incompatible index initialization initialize
input insufficient int int64 integer internal invalid is it kernel killed last launch layer left library line load
memory message mismatch missing module most mps must named newer no none not null number nvidia object of old older
on only open operation option or out output overflow parameter permission pip process python pytorch range read
recent required result return returned run runtime segmentation shape signal size space status stream string support
supported system tensor than that the this thread time timeout to too torch total traceback tried tuple type unable
unexpected unknown unsupported update value values version warning weight weights while with worker write wrong yes
you your zero
"""


def scrubbed(text: str) -> str:
    """The text, line by line, with only what is known to be harmless."""
    lines: list[str] = []
    in_known_code = False
    for line in text.splitlines():
        frame = _FRAME.fullmatch(line)
        if frame is not None:
            path = _code_path(frame["path"])
            in_known_code = path is not None
            name = frame["name"] if in_known_code else GONE
            lines.append(f'{frame["indent"]}File "{path or GONE}", line {frame["line"]}, in {name}')
        elif in_known_code and line.startswith("    "):
            # A line of that file's source, and the marks beneath it.
            lines.append(line)
        else:
            in_known_code = False
            lines.append(_scrubbed_line(line))
    return "\n".join(lines)


def _code_path(path: str) -> str | None:
    """The part of a source file's path that is the same on every computer."""
    roots = list(_CODE_ROOT.finditer(path))
    return None if not roots or not path.endswith(".py") else path[roots[-1].start() :].replace("\\", "/")


def _scrubbed_line(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    words = [_scrubbed_word(word) for word in _QUOTED.sub(f" {GONE} ", line).split()]
    kept = [word for number, word in enumerate(words) if word != GONE or number == 0 or words[number - 1] != GONE]
    return indent + " ".join(kept)


def _scrubbed_word(word: str) -> str:
    core = word.strip(_EDGES)
    if not core or word == GONE:
        return word
    harmless = (
        _NUMBER.fullmatch(core)
        or _VERSION.fullmatch(core)
        or _DOTTED.fullmatch(core)
        or _ERROR_NAME.fullmatch(core)
        or all(part.lower() in own_words() for part in core.split("-"))
    )
    return word if harmless else GONE


@lru_cache(maxsize=1)
def own_words() -> frozenset[str]:
    """Every word of the sentences that the library's own source holds, and technical ones, in lower case."""
    words = set(_TECHNICAL_WORDS.split())
    for path in _LIBRARY.rglob("*.py"):
        try:
            source = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        # Reading the files as text is quick enough for a click, parsing them is not.
        for literal in _LITERAL.findall(_DOCSTRING.sub("", source)):
            words.update(_WORD.findall(literal.lower()))
    return frozenset(words)
