"""Which functions are on the way to a light, by the code alone; and which faults mean nothing to a light, and why."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_NOT_READ: dict[str, str] = {
    r"^case_measuring:measured_case\.lambda 1 |^model\.(segmenter|nnunet):\w+\.(sweep|_swept) "
    r"|^model\.nnunet:_autocast ": (
        "the look ahead is given up, or told otherwise; the pass that follows judges"
    ),
    r"(least|greatest)_mm|\.(spacing|extent)_mm\[\d\]|\[\d+\]\.(spacing|extent)_mm|^reference\.cases_file:_lengths ": (
        "what is no length widens no limit, which a test of the checks asserts; of one case it is its own affair"
    ),
    r"^model\.(segmenter:(Segmenter\._pass\.predict|_single_output)|window_inference:_Blend\.result) one |"
    r"^model\.nnunet_predictor:WatchedPredictor\.(_watched|_internal_\w+|predict_\w+) one ": (
        "in the padding, which is cut off"
    ),
    r"^case_measuring:_tokens one (nan|inf) \[0\]": "in a token of air, which does not count",
    r"^imaging\.(body|brightness):.*\.(origin_lps_mm|direction)": (
        "images are measured on a grid that lies nowhere and has no direction"
    ),
    r"^imaging\.volume:Geometry\.(patient_axes|lps_to_ijk)": "where nothing of this case lies, or words for it",
    r"^model\.(preprocessing|segmenter|nnunet|nnunet_grid):.*\.volume\.voxels": (
        "the way back needs the volume's geometry alone"
    ),
    r"^logic:BottleneckOODLogic\._judged .*\.volume\.voxels": "the image goes along with a result that is judged",
    r"^model\.organ:organ_mask .*\.largest|^imaging\.mask_features:marked_parts .*\.largest": (
        "what is left out of the mask, where a model keeps its largest part alone; this one keeps all"
    ),
    r"^case_measuring:measured_case .*\.mask\.": "a copy: what is judged is among the features already",
    r"\.settings\['levels'\]": "for who reads the file; the levels are the program's",
    r"\.detector\.singular_": "needed while the detector is fitted, and that is over",
    r"^reference\.scoring:_farthest": "which space is named; of one that is farthest all the same",
    r"^imaging\.dicom:(acquisition_facts|_value) |\.acquisition\[": "facts that are told beside the image",
    r"^assessment\.finite:": "looks at what is judged already",
    r"^model\.nnunet(_plans)?:.*median": "of the training cases; nnU-Net plans by them and does not predict by them",
    r"^model\.nnunet:NnunetSegmenter\._padded .*\[0\]$": "the padded image is for the look ahead alone",
    r"^model\.nnunet(_grid)?:.*\.properties\['spacing'\]": (
        "tells nnU-Net whether to resample a coarse axis apart; a volume's spacing is finite, and here there is none"
    ),
    r"^model\.nnunet:NnunetSegmenter\.model .*\.(intensity\.|inference\.overlap)": (
        "nnU-Net prepares intensities, and lays its windows, by its own plans"
    ),
    r"^model\.nnunet:_own_weights .*seg_layers\.0\.": "a head of a coarser stage, which is for training",
    r"^ood\.\w+:\w+\.fit ": "fits in place: what it gives back is itself",
}
"""Parts of a result that nobody reads on the way to a light: the assessment is the same to the last digit."""
_TOLD_APART: dict[str, str] = {
    r"\.local\b|\.regions\b|\.bank\b|local_regions:|_local_tap|_features:NnunetFeatures\.__init__\.lambda|model\.local_view:|ood\.token_|assessment\.regions:"
    r"|^case_measuring:_bank_of |^reference\.bank_file:": "the light never depends on the map of unusual regions",
    r"^logic:BottleneckOODLogic\.(assess|_assessed) ": (
        "the result itself, altered after the last look at it; it cannot be saved so"
    ),
    r" constant .*\.occupied\b|:(share_of_tokens|occupied_share) constant|^case_measuring:_tokens constant \[1\]": (
        "weights like any others: all tokens alike are pooled, and what comes of them is judged"
    ),
    r"^model\.nnunet_predictor:(WatchedPredictor\._(organ|flipped_back)|MirrorAgreement\.)|^ood\.output_scores:dis": (
        "how far mirrored windows and folds agree is measured beside the light"
    ),
    r"^imaging\.volume:image_on one ": "one voxel at the mask's edge",
}
"""What is shown beside the light and never sets it, or is one of the values that it may have."""
_ELSEWHERE: dict[str, str] = {
    r"^cli\.(?!assess:|console:|main:)": "another verb: named where the parser is built",
    r"^cli\.assess:(_check_dicom|_scene_writer|_write_dicom)$": "asked for by an option; writes what is judged already",
    r"^imaging\.hidden_names:(without_names|_names_in_header)$": "takes names out of the words of a warning",
    r"^cli\.console:|^progress:CancelToken\.": "shows how far it is, or stops it; what is stopped gives no light",
    r"^logic:BottleneckOODLogic\._grey$|^errors:|:_sentence_for$|:not_finite_sentence$|:is_out_of_memory$": (
        "what a fault leads to: it is called in the runs that plant one"
    ),
    r"^catalogue:(list_|_names)": "a list of names for a sentence, where there is no such model or reference",
    r"^triage\.": "the store's own verbs: named where the parser is built",
    r"^imaging\.text_headers:(_beside|_damaged|_missing|_too_long)$": (
        "a header whose voxels lie in another file, or that is refused"
    ),
    r"^imaging\.dicom_files:_unpacks_without_end$": "a deflated file: refused, or read as any other",
    r"^likely_meant:": "for a sentence that refuses a path or a word",
    r"^temporaries:_clear$": "removes what a killed run left in the folder of results",
    r"^atomic_folder:": "where a result is there already: it is written after the light is known",
    r"^model\.model_folder:_changed$": "for the sentence that refuses a changed model",
    r"^imaging\.(dicom:Series\.line|reading:_is_dicom)$": "for a sentence that refuses the image",
    r"^model\.(devices|gpu_facts):": "the choice of a device; without a graphics card there is none",
    r"^local_regions:TokenGatherer\.": "gathers tokens when a reference is built",
    r"^model\.segmenter:Segmenter\._stage_pool$|^model\.stages:StagePool\.__init__$": "for research",
    r"^model\.nnunet_plans:(NnunetPlans\.modality|_refuse)$": "when a model is added, or refused",
    r"^model\.nnunet_predictor:(WatchedPredictor\.(_nothing|keep)|_UntilRaised\.failed)$": "after a window raised",
    r"^reference\.feature_space:_left_out_score$|\.settings$|Outcomes\.document$": "when a reference is built or saved",
    r"^reference\.outcomes:|^assessment\.wording:|^assessment\.regions:": "sentences and a map beside the light",
    r"^ood\.placement:_outside$": "where the case is drawn on the map; the light does not come from it",
    r"^reference\.scoring:NamedCase\.|^model\.adapter:": "a protocol: what it stands for is reached",
    r"^imaging\.volume:LabelVolume\.volume_ml$": "of one label; the measurements count all of them",
    r"^reference\.cases_file:_from_facts$": "references of older versions, which kept no extents",
    r"^imaging\.(scattered_series|series_folders):|^imaging\.dicom:Series\.slices$": (
        "a series whose slices lie in several folders: put together by their headers, and read and judged as any other"
    ),
    r"^private_folder:private_folder$": "for the panel, to which voxels are handed over in a file",
    r"^cli\.main:(_told|_print_no_more)$": "what an error leads to: a sentence, and no light",
    r"^model\.intensity:_step$": "intensities in several steps, as bundles have them: the same finite checks follow",
}
"""Functions that a function on the way names, and that these runs do not come by."""


_GUARDS = (
    "cli.main:main", "errors:faults_told", "imaging.reading_process:_listen", "model.nnunet_predictor:_Feeder.run",
)  # fmt: skip
"""What makes a sentence of every error, or is all that a thread does: nothing is above them."""
OUTERMOST = "logic:BottleneckOODLogic.assess"
"""What a script calls: nothing of the library stands above it to make an error of what it is made to raise."""


def is_guard(key: str) -> bool:
    """Whether a function is one of those that nothing is above."""
    return key in _GUARDS


def not_read(fault: str) -> str:
    """Why a fault may leave everything as it is; empty where there is no reason."""
    return next((reason for pattern, reason in _NOT_READ.items() if re.search(pattern, fault)), "")


def told_apart(fault: str) -> str:
    """Why a fault may change the assessment and leave the light green; empty where there is no reason."""
    return next((reason for pattern, reason in _TOLD_APART.items() if re.search(pattern, fault)), "")


def unreached(before: set[str], called: set[str], library: Path) -> list[str]:
    """Functions that the code of the functions on the way names, and that no run came by: none may be forgotten.

    Args:
        before: What was called on the way to a light, as ``module:qualified name``.
        called: That, and what was called afterwards.
        library: The library's folder.

    Returns:
        Those that are not on the list of ``_ELSEWHERE``.
    """
    code = _Code(library)
    named = {callee for key in before for callee in code.named_by(key, called)}
    return sorted(key for key in named - called if not any(re.search(pattern, key) for pattern in _ELSEWHERE))


class _Code:
    """The library's functions, and which of them each one names."""

    def __init__(self, library: Path) -> None:
        self.functions: dict[str, ast.AST] = {}
        self._imports: dict[str, dict[str, tuple[str, str]]] = {}
        self._methods: dict[str, set[str]] = defaultdict(set)
        self._classes: set[str] = set()
        for path in sorted(library.rglob("*.py")):
            module = ".".join(path.relative_to(library).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text(encoding="utf-8"))
            self._imports[module] = dict(_imported(tree))
            self._index(module, tree, "")

    def _index(self, module: str, node: ast.AST, inside: str, of_class: bool = False) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{inside}.{child.name}".lstrip(".")
                key = f"{module}:{name}"
                if isinstance(child, ast.ClassDef):
                    self._classes.add(key)
                else:
                    self.functions[key] = child
                    if of_class:
                        self._methods[child.name].add(key)
                self._index(module, child, name, isinstance(child, ast.ClassDef))
            else:
                self._index(module, child, inside, of_class)

    def named_by(self, key: str, reached: set[str]) -> Iterator[str]:
        """What a function names: functions, classes, and methods of whatever it has.

        Of a method's name that several classes have it does when one of them was reached.
        """
        module, _, name = key.partition(":")
        for node in ast.walk(self.functions.get(key, ast.Module([], []))):
            if isinstance(node, ast.Name):
                yield from self._of_name(module, name, node.id)
            elif isinstance(node, ast.Attribute):
                yield from self._of_attribute(module, name, node, reached)

    def _of_name(self, module: str, inside: str, name: str) -> Iterator[str]:
        outer = inside.split(".")
        places = [".".join([*outer[:n], name]) for n in range(len(outer), -1, -1)]
        found = next((key for p in places if (key := f"{module}:{p}") in self.functions or key in self._classes), "")
        if not found and name in self._imports[module]:
            found = ":".join(self._imports[module][name])
        if found in self.functions:
            yield found
        elif found in self._classes:
            made = (f"{found}.{method}" for method in ("__init__", "__post_init__"))
            yield from (method for method in made if method in self.functions)

    def _of_attribute(self, module: str, inside: str, node: ast.Attribute, reached: set[str]) -> Iterator[str]:
        own = f"{module}:{inside.rpartition('.')[0]}.{node.attr}"
        if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls") and own in self.functions:
            yield own
        elif not self._methods[node.attr] & reached:
            # Of a module that no run comes by, nothing was at hand that could have the method.
            here = {key.partition(":")[0] for key in reached}
            yield from (method for method in self._methods[node.attr] if method.partition(":")[0] in here)


def _imported(tree: ast.AST) -> Iterator[tuple[str, tuple[str, str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("BottleneckOODLib."):
            for alias in node.names:
                yield alias.asname or alias.name, (node.module.removeprefix("BottleneckOODLib."), alias.name)
