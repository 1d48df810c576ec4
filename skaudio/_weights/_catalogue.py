"""Published files of weights: where each lies, and what its network is.

To add one, add an entry to `PUBLISHED`. An address names a commit or a release, never
a branch, and nothing is stated that was not read in the file or in its authors' words.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from skaudio._weights._tag_names import JAMENDO, MSD, MTAT

RAW = "https://raw.githubusercontent.com"
MUSIC = "MIT, (c) 2020 Music Technology Group, Universitat Pompeu Fabra"
EXCERPTS = (
    "Trained on music, in excerpts as long as what it sees at once. Shorter clips, and "
    "other sounds than music, are not what it has learned from: measure it on your own."
)
UNTRIED = "Tried by us with files of this layout only, not with this file."
UNSEEN = (
    f"{UNTRIED} Its size and checksum were not known when this was written: the first "
    "download is remembered, and later ones must equal it."
)
UNCERTAIN = "Whether the file lies at this address could not be checked."


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file at an address that never changes its content.

    Parameters
    ----------
    address : str
        With a commit or a release in it.
    file : str
        What it is called on this machine.
    n_bytes : int or None
        Its size, if that is known.
    sha256 : str or None
        Its SHA-256 in hexadecimal, if that is known.
    git_blob : str or None
        What git names it by, a SHA-1 of its size and content, if that is known.
    """

    address: str
    file: str
    n_bytes: int | None = None
    sha256: str | None = None
    git_blob: str | None = None


@dataclass(frozen=True, kw_only=True)
class Published(PublishedFile):
    """A file of weights with everything that is known about it.

    Parameters
    ----------
    name : str
        What it is called by.
    network : str
        The network, as its authors call it.
    task : str
        What it was trained for.
    data : str
        What it was trained on.
    rate : int or None
        Sampling rate in Hz; None if it takes no sound.
    n_samples : int or None
        Samples that it sees at once.
    n_parameters : int
        Numbers that were trained.
    takes, gives, embedding : str
        Its input, its output and what an embedding is.
    licence, citation : str
        Of the file, and of the paper.
    scaler : PublishedFile or None
        A second file that it needs.
    tags : tuple of str or None
        Names of its outputs.
    caveats : tuple of str
        What to mind.
    """

    name: str
    network: str
    task: str
    data: str
    rate: int | None
    n_samples: int | None
    n_parameters: int
    takes: str
    gives: str
    embedding: str
    licence: str
    citation: str
    scaler: PublishedFile | None = None
    tags: tuple[str, ...] | None = None
    caveats: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Seconds that it sees at once."""
        if self.rate is None or self.n_samples is None:
            return None
        return self.n_samples / self.rate


# ------------------------------------------------- sota-music-tagging-models, 16 kHz

SOTA = f"{RAW}/minzwon/sota-music-tagging-models"
SOTA_COMMITS = {
    "mtat": "1f4d282693ac19cde4d30b86811fe0ae2452f406",
    "msd": "ffcd1f90b97a1e923a50c6e5283f147cf9dd7dfd",
    "jamendo": "ffcd1f90b97a1e923a50c6e5283f147cf9dd7dfd",
}
SOTA_DATA = {
    "mtat": "MagnaTagATune",
    "msd": "Million Song Dataset with tags of Last.fm",
    "jamendo": "MTG-Jamendo",
}
SOTA_NAMES = {"mtat": "MagnaTagATune", "msd": "Last.fm", "jamendo": "MTG-Jamendo"}
SOTA_TAGS = {"mtat": MTAT, "msd": MSD, "jamendo": JAMENDO}
SOTA_NETWORKS = {
    "fcn": ("FCN", 465_984, 447_732),
    "crnn": ("CRNN", 465_984, 394_100),
    "musicnn": ("MusiCNN", 48_000, 784_300),
}
WIDE_MUSICNN = 7_972_000  # of the code for MSD: 512 filters in the middle, 500 units
SOTA_FILES: dict[str, tuple[int, str]] = {
    "fcn-mtat": (
        1_902_811,
        "3bfc67e43f3e180194ab5993c947ffbf44b1a23dcdf42c374b1ced9d4d4de72e",
    ),
    "fcn-msd": (
        1_902_815,
        "6012aa7eecf864a8081faedca56af054521e8dfb9c5c98659a3dd5d3e1e66f21",
    ),
    "fcn-jamendo": (
        1_902_815,
        "7bce08a66dbc70d096b0a330f44b4cacd9aa25519b83489fbb98f2164a194e2b",
    ),
    "crnn-msd": (
        1_687_711,
        "ebb99855ed0c83f38845db9cfb383dd6fc70938bc58701dcb66e18af9ee7fbea",
    ),
    "crnn-jamendo": (
        1_687_626,
        "0a558989c0793f488cb677d188464c91f47c007f7c70473230e55537ca598215",
    ),
    "musicnn-mtat": (
        3_257_164,
        "0a7ac8aa3daab3a1c59cae16a771b0bfa4064ac94502ebc990a5c32a2771e189",
    ),
    "musicnn-jamendo": (
        3_257_168,
        "66280f4859376377c47f64313c7ac889a3201fdb06a01bf6e94ac6e619081bb5",
    ),
}


def _tagger(short: str, data: str) -> Published:
    network, n_samples, n_parameters = SOTA_NETWORKS[short]
    name = f"{short}-{data}"
    if name == "musicnn-msd":
        n_parameters = WIDE_MUSICNN
    n_bytes, sha256 = SOTA_FILES.get(name, (None, None))
    return Published(
        name=name,
        network=network,
        task=f"music tagging, 50 tags of {SOTA_NAMES[data]}",
        data=SOTA_DATA[data],
        rate=16_000,
        n_samples=n_samples,
        n_parameters=n_parameters,
        takes="sound at 16,000 Hz; 96 mel bands are computed inside",
        gives="50 tags, of which a clip may have several",
        embedding="means and maxima of hidden layers over a segment, means over "
        "segments",
        licence=MUSIC,
        citation="M. Won, A. Ferraro, D. Bogdanov and X. Serra, 'Evaluation of "
        "CNN-based automatic music tagging models', Proc. of 17th Sound and Music "
        "Computing (SMC), 2020, arXiv:2006.00751",
        address=f"{SOTA}/{SOTA_COMMITS[data]}/models/{data}/{short}/best_model.pth",
        file=f"{name}.pth",
        n_bytes=n_bytes,
        sha256=sha256,
        tags=SOTA_TAGS[data],
        caveats=(
            EXCERPTS,
            *(() if sha256 else (UNSEEN,)),
            *((UNCERTAIN,) if name == "musicnn-msd" else ()),
        ),
    )


# ---------------------------------------------------------- SampleCNN of its authors

SAMPLECNN_MSD = Published(
    name="samplecnn-msd",
    network="SampleCNN",
    task="music tagging, 50 tags of Last.fm",
    data="Million Song Dataset with tags of Last.fm",
    rate=22_050,
    n_samples=59_049,
    n_parameters=1_462_322,
    takes="sound at 22,050 Hz",
    gives="50 tags, of which a clip may have several",
    embedding="activations of hidden layers, maxima over each segment, means over "
    "segments: 256 per layer from the third on",
    licence="MIT, (c) 2017 Jongpil Lee",
    citation="J. Lee, J. Park, K. L. Kim and J. Nam, 'SampleCNN: End-to-End Deep "
    "Convolutional Neural Networks Using Very Small Filters for Music "
    "Classification', Applied Sciences 8(1):150, 2018",
    address=f"{RAW}/jongpillee/musicTagging_MSD/"
    "40aafc1c359a323548317e53ce52b930408c9488/models/weight_msdTag.hdf5",
    file="samplecnn-msd.hdf5",
    git_blob="a58dddfd6a9813585874ddd001f9d3613b704d28",
    tags=MSD,
    caveats=(
        EXCERPTS,
        UNTRIED,
        "It is a file of Keras, which needs h5py: pip install 'skaudio[keras]'.",
    ),
)

# -------------------------------------------------------------------- CLMR, 22,050 Hz

CLMR = "https://github.com/Spijkervet/CLMR/releases/download"


def _clmr(name: str, version: str, path: str) -> Published:
    return Published(
        name=name,
        network=f"SampleCNN by CLMR {version}",
        task="contrastive learning of music, without labels",
        data="MagnaTagATune, sound alone",
        rate=22_050,
        n_samples=59_049,
        n_parameters=2_368_512,
        takes="sound at 22,050 Hz",
        gives="an embedding",
        embedding="activations of hidden layers, maxima over each segment, means over "
        "segments: 512 of the last layer",
        licence="MIT, (c) 2021 Janne Spijkervet",
        citation="J. Spijkervet and J. A. Burgoyne, 'Contrastive Learning of Musical "
        "Representations', 2021, arXiv:2103.09410",
        address=f"{CLMR}/{path}",
        file=f"{name}{PurePosixPath(path).suffix}",
        caveats=(EXCERPTS, UNSEEN),
    )


# ------------------------------------------------------------------ COALA, 22,000 Hz

COALA = f"{RAW}/xavierfav/coala/b791ad6bb5c4f7b8f8f8fa8e0c5bd5b89b0ecbc3"
COALA_SCALER = PublishedFile(
    address=f"{COALA}/scaler_top_1000.pkl",
    file="coala-scaler.pkl",
    n_bytes=2464,
    sha256="a19797fdf2fcff78d2198707d485160470367d4aae41f227a51705454eb6cc29",
    git_blob="9e824ea64e1b0753aa9455fdcb37a07f47223a22",
)
TAGS_OF_COALA = "The order of tags is in json/id2token_top_1000.json there."
NOISE_OF_COALA = "A clip up to 10 s is put in 10 s of faint noise, as by its authors."


def _coala(
    name: str,
    network: str,
    task: str,
    *,
    n_parameters: int,
    path: str,
    git_blob: str,
    takes_tags: bool = False,
) -> Published:
    sound = "sound at 22,000 Hz; 96 mel bands and their scaling are computed inside"
    return Published(
        name=name,
        network=network,
        task=task,
        data="sounds of Freesound up to 10 s long, and their 1,000 most frequent tags",
        rate=None if takes_tags else 22_000,
        n_samples=None if takes_tags else 96 * 512,
        n_parameters=n_parameters,
        takes="an indicator matrix of 1,000 tags" if takes_tags else sound,
        gives="1,000 tags" if "CNN" in network else "an embedding",
        embedding="1,152 numbers"
        + ("" if takes_tags else ", means over patches of 2.2 s side by side"),
        licence="MIT, (c) 2020 Xavier Favory",
        citation="X. Favory, K. Drossos, T. Virtanen and X. Serra, 'COALA: Co-Aligned "
        "Autoencoders for Learning Semantically Enriched Audio Representations', ICML "
        "workshop on self-supervision in audio and speech, 2020, arXiv:2006.08386",
        address=f"{COALA}/saved_models/{path}",
        file=f"{name}.pt",
        git_blob=git_blob,
        scaler=None if takes_tags else COALA_SCALER,
        caveats=(TAGS_OF_COALA if takes_tags else NOISE_OF_COALA, UNTRIED),
    )


ALIGNED = "alignment of sounds and tags"
COALA_ENTRIES = (
    _coala(
        "coala-ae-c",
        "COALA audio encoder (AE-C)",
        f"{ALIGNED}, and reconstruction of both",
        n_parameters=2_379_648,
        path="dual_ae_c/audio_encoder_epoch_200.pt",
        git_blob="3035f977feb330cdfdb0502733bce415509937ce",
    ),
    _coala(
        "coala-e-c",
        "COALA audio encoder (E-C)",
        ALIGNED,
        n_parameters=2_379_648,
        path="dual_e_c/audio_encoder_epoch_200.pt",
        git_blob="78373af4ed143276ed163c06ace774d22a903693",
    ),
    _coala(
        "coala-cnn",
        "COALA CNN",
        "sound tagging, 1,000 tags",
        n_parameters=3_533_800,
        path="cnn/audio_encoder_epoch_20.pt",
        git_blob="ba73ad84bcd080ab85cc4190ab373caaef6306f5",
    ),
    _coala(
        "coala-tags-ae-c",
        "COALA tag encoder (AE-C)",
        f"{ALIGNED}, and reconstruction of both",
        n_parameters=2_697_600,
        path="dual_ae_c/tag_encoder_epoch_200.pt",
        git_blob="6ab320ab6674baf17f60246648222292db5866bd",
        takes_tags=True,
    ),
    _coala(
        "coala-tags-e-c",
        "COALA tag encoder (E-C)",
        ALIGNED,
        n_parameters=2_697_600,
        path="dual_e_c/tag_encoder_epoch_200.pt",
        git_blob="36f26bf200f86f73e521194057d158c65d4a1885",
        takes_tags=True,
    ),
)

PUBLISHED: dict[str, Published] = {
    entry.name: entry
    for entry in (
        *(_tagger(short, data) for short in SOTA_NETWORKS for data in SOTA_DATA),
        SAMPLECNN_MSD,
        _clmr("clmr-mtat", "v2", "2.0/clmr_checkpoint_10000.zip"),
        _clmr("clmr-v1-mtat", "v1", "1.0/clmr_checkpoint_1550.pt"),
        *COALA_ENTRIES,
    )
}
