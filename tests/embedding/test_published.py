"""Published weights by name: what is downloaded, when, and what is refused."""

import hashlib
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skaudio import _download
from skaudio._weights._catalogue import PUBLISHED, PublishedFile
from skaudio._weights._coala import scaler_pickle
from skaudio._weights._published import fetch
from skaudio.embedding import (
    PretrainedEmbedder,
    describe_weights,
    fetch_weights,
    list_weights,
)
from skaudio.embedding import hear as hear_module
from skaudio.embedding._backends._samplecnn import SampleCNNNetwork
from skaudio.persistence import load, save

ROOT = Path(__file__).resolve().parents[2]
PAGE = b"<!DOCTYPE html><html><body>Please log in.</body></html>"
OTHERS = {"sha256": None, "git_blob": None, "n_bytes": None}


def blob_of(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The folder of data, empty, and no pauses between attempts."""
    monkeypatch.setenv("SKAUDIO_DATA", str(tmp_path / "home"))
    monkeypatch.setitem(fetch.__kwdefaults__, "delay", 0.0)
    return tmp_path / "home"


@pytest.fixture
def tiny(site, samplecnn, monkeypatch):
    """A small SampleCNN among the published weights, served by the local server."""
    content = samplecnn.read_bytes()
    site.files["tiny.safetensors"] = content
    entry = replace(
        PUBLISHED["samplecnn-msd"],
        name="tiny-net",
        address=f"{site.url}/tiny.safetensors",
        file="tiny-net.safetensors",
        n_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        git_blob=None,
    )
    monkeypatch.setitem(PUBLISHED, "tiny-net", entry)
    return entry


@pytest.fixture
def change(tiny, monkeypatch):
    """Change what is stated of the small network."""

    def changed(**stated):
        entry = replace(PUBLISHED["tiny-net"], **stated)
        monkeypatch.setitem(PUBLISHED, "tiny-net", entry)
        return entry

    return changed


def fetch_quickly(*args, **options):
    return fetch_weights(*args, **{"delay": 0, **options})


def kept(home):
    """Files of weights on this machine."""
    folder = home / "weights"
    names = (p.name for p in folder.iterdir()) if folder.is_dir() else ()
    return sorted(name for name in names if name[0] != ".")


# ------------------------------------------------------------------ file by file


def test_a_file_is_downloaded_once_and_whole(site, tiny, home):
    assert not list_weights().set_index("name").loc["tiny-net", "is_here"]
    assert not home.exists()
    path = fetch_weights("tiny-net")
    assert path == home / "weights" / "tiny-net.safetensors"
    assert path.read_bytes() == site.files["tiny.safetensors"]
    assert fetch_weights("tiny-net") == path
    assert site.asked == [None]
    assert kept(home) == [path.name]
    assert list_weights().set_index("name").loc["tiny-net", "is_here"]
    other = fetch_weights("tiny-net", home / "other", n_retries=0, delay=0)
    assert other == home / "other" / "weights" / path.name
    assert len(site.asked) == 2


def test_where_missing_files_go_is_said(site, tiny, home):
    wanted = rf"tiny-net\.safetensors is not there.*{tiny.address}.*put it there"
    with pytest.raises(OSError, match=wanted) as caught:
        fetch_weights("tiny-net", download_if_missing=False)
    assert site.asked == []
    assert not home.exists()
    path = home / "weights" / "tiny-net.safetensors"
    assert str(path) in str(caught.value)
    path.parent.mkdir(parents=True)
    path.write_bytes(site.files["tiny.safetensors"])
    assert fetch_weights("tiny-net", download_if_missing=False) == path


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("fcn-mtatt", "fcn-mtat"),
        ("FCN_MTAT", "fcn-mtat"),
        ("musicnn", "musicnn-m"),
        ("coala", "coala-"),
        ("", None),
        ("zzz", None),
        (3, None),
    ],
)
def test_unknown_names(name, nearest):
    for ask in (fetch_weights, describe_weights):
        with pytest.raises(ValueError, match=r"name .*list_weights") as caught:
            ask(name)
        assert ("Nearest" in str(caught.value)) == (nearest is not None)
        assert nearest is None or nearest in str(caught.value)


# ------------------------------------------------------------------ what goes wrong


def test_a_broken_connection_is_resumed(site, tiny, home):
    site.cuts = [1000, 500]
    fetch_quickly("tiny-net")
    assert site.asked == [None, "bytes=1000-", "bytes=1500-"]
    assert kept(home) == ["tiny-net.safetensors"]


def test_half_a_file_is_completed_by_the_next_call(site, tiny, home):
    site.cuts = [1000]
    with pytest.raises(OSError, match="the 1000 bytes that arrived are kept"):
        fetch_weights("tiny-net", n_retries=0)
    assert "tiny-net.safetensors" not in kept(home)
    path = fetch_weights("tiny-net")
    assert site.asked == [None, "bytes=1000-"]
    assert path.read_bytes() == site.files["tiny.safetensors"]


def test_an_interruption_keeps_what_arrived(site, tiny, home, monkeypatch):
    class Interrupted(_download.ResumingDownloader):
        def _check(self, n_bytes):
            super()._check(n_bytes)
            if self.part.exists() and n_bytes < tiny.n_bytes:
                raise KeyboardInterrupt

    monkeypatch.setattr(_download, "BLOCK", 700)
    with monkeypatch.context() as during:
        during.setattr(_download, "ResumingDownloader", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_weights("tiny-net")
    assert kept(home) == ["tiny-net.safetensors.download.part"]
    path = fetch_weights("tiny-net")
    assert site.asked == [None, "bytes=700-"]
    assert path.read_bytes() == site.files["tiny.safetensors"]
    assert kept(home) == ["tiny-net.safetensors"]


@pytest.mark.parametrize("ident", ["sha256", "git_blob", "nothing"])
@pytest.mark.parametrize("sent", ["page", "half", "flipped", "empty"])
def test_what_was_not_published_is_refused(site, change, home, sent, ident):
    good = site.files["tiny.safetensors"]
    flipped = bytearray(good)
    flipped[100] ^= 1
    content = {"page": PAGE, "half": good[:-900], "flipped": flipped, "empty": b""}
    site.files["tiny.safetensors"] = bytes(content[sent])
    if ident == "nothing":
        change(**OTHERS)
        if sent == "flipped":  # nobody can tell
            return
    elif ident == "git_blob":
        change(**{**OTHERS, "git_blob": blob_of(good)})
    with pytest.raises(OSError, match=r"sent.* is not what was published.*Call again"):
        fetch_weights("tiny-net")
    assert kept(home) == []
    site.files["tiny.safetensors"] = good
    assert fetch_weights("tiny-net").read_bytes() == good


def test_a_web_page_is_called_one_where_no_checksum_is_known(site, change):
    change(**OTHERS)
    site.files["tiny.safetensors"] = PAGE
    with pytest.raises(OSError, match=r"is a web page \(HTML\), not weights"):
        fetch_weights("tiny-net")


def test_an_unknown_checksum_is_remembered(site, change, home):
    entry = change(**OTHERS)
    good = site.files["tiny.safetensors"]
    path = fetch_weights("tiny-net")
    assert kept(home) == ["checksums.json", "tiny-net.safetensors"]
    changed = bytearray(good)
    changed[100] ^= 1
    path.write_bytes(changed)  # damaged here: it comes again
    assert fetch_weights("tiny-net").read_bytes() == good
    site.files["tiny.safetensors"] = bytes(changed)  # replaced there: it is refused
    path.unlink()
    with pytest.raises(OSError, match=rf"{entry.address} is not what it was when"):
        fetch_weights("tiny-net")
    assert kept(home) == ["checksums.json"]


@pytest.mark.parametrize("known", ["sha256", "git_blob"])
def test_a_damaged_file_is_downloaded_anew(site, change, home, known):
    good = site.files["tiny.safetensors"]
    if known == "git_blob":
        change(**{**OTHERS, "git_blob": blob_of(good)})
    path = fetch_weights("tiny-net")
    path.write_bytes(good[:-1] + b"!")
    with pytest.raises(OSError, match=r"has (SHA-256|git's SHA-1) .*, not "):
        fetch_weights("tiny-net", download_if_missing=False)
    path.write_bytes(good[:-1])
    with pytest.raises(OSError, match=r"has (\d+ bytes|git's SHA-1 .*), not "):
        fetch_weights("tiny-net", download_if_missing=False)
    assert fetch_weights("tiny-net").read_bytes() == good
    path.write_bytes(good[:-1])
    site.status = 503  # and where it cannot be had, it is not used
    with pytest.raises(OSError, match=r"Could not download .*503"):
        fetch_weights("tiny-net", n_retries=0)


def test_much_more_than_is_stated_is_dropped(site, change, home):
    change(n_bytes=100)
    with pytest.raises(
        OSError, match="more than 200 bytes, the most that was expected"
    ):
        fetch_weights("tiny-net")
    assert kept(home) == []
    assert len(site.asked) == 1


def test_without_a_network(site, change, home):
    change(address="http://127.0.0.1:9/tiny.safetensors")
    with pytest.raises(OSError, match=r"Could not download .*Check the") as error:
        PretrainedEmbedder("tiny-net").fit([np.zeros(800)])
    (note,) = error.value.__notes__
    assert "SKAUDIO_DATA" in note
    assert str(home / "weights" / "tiny-net.safetensors") in note
    assert kept(home) == []


def test_a_file_that_is_gone_is_not_asked_for_again(site, tiny):
    site.status = 404
    with pytest.raises(OSError, match="404"):
        fetch_weights("tiny-net", n_retries=3)
    assert len(site.asked) == 1


def test_a_full_disk_is_named(site, tiny, home, monkeypatch):
    real = open

    def full(path, mode="r", *args, **options):
        if str(path).endswith(".part"):
            raise OSError(28, "No space left on device")
        return real(path, mode, *args, **options)

    with monkeypatch.context() as during:
        during.setattr("builtins.open", full)
        with pytest.raises(OSError, match=r"No space left .*\.part'"):
            fetch_weights("tiny-net")
    assert len(site.asked) == 1
    assert kept(home) == []
    fetch_weights("tiny-net")


def test_a_folder_that_may_not_be_written(site, tiny, home, monkeypatch):
    path = fetch_weights("tiny-net")

    def refused(self, *args, **options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refused)
    monkeypatch.setattr(Path, "mkdir", refused)
    assert fetch_weights("tiny-net") == path  # reading it needs nothing else
    PretrainedEmbedder("tiny-net").fit([np.zeros(800)])
    path.unlink()
    with pytest.raises(PermissionError, match=r"denied: .*home") as caught:
        fetch_weights("tiny-net")
    assert "SKAUDIO_DATA" in caught.value.__notes__[0]


def test_a_folder_in_place_of_the_file_is_named(tiny, home):
    (home / "weights" / "tiny-net.safetensors").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"tiny-net\.safetensors"):
        fetch_weights("tiny-net")


def test_a_file_in_place_of_the_folder_is_named(site, tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("SKAUDIO_DATA", str(tmp_path / "file"))
    list_weights()
    with pytest.raises(OSError, match=r"exists: '.*file'") as caught:
        fetch_weights("tiny-net")
    assert "SKAUDIO_DATA" in caught.value.__notes__[0]
    assert (tmp_path / "file").read_text() == "mine"
    assert site.asked == []


def test_threads_download_once(site, tiny, home):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(fetch_weights, ["tiny-net"] * 4))
    assert len(set(paths)) == 1
    assert site.asked == [None]


def test_processes_take_turns(site, tmp_path):
    site.files["large"] = np.random.default_rng(0).bytes(2**22)
    code = (
        "import sys, pathlib\n"
        "from skaudio._download import download, locked\n"
        "folder = pathlib.Path(sys.argv[2])\n"
        "with locked(folder):\n"
        "    path = download(sys.argv[1], folder, 'large', most=2**23,"
        " n_retries=0, delay=0)\n"
        "print(path)\n"
    )
    command = [sys.executable, "-c", code, f"{site.url}/large", str(tmp_path)]
    both = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate()[0].strip() for process in both]
    assert outputs == [str(tmp_path / "large")] * 2
    assert (tmp_path / "large").read_bytes() == site.files["large"]
    assert site.asked == [None]


# ------------------------------------------------------------------ the embedder


def test_nothing_is_downloaded_before_fit_or_transform(site, tiny, home):
    embedder = PretrainedEmbedder("tiny-net")
    embedder = pickle.loads(pickle.dumps(clone(embedder)))
    assert embedder.get_params()["weights"] == "tiny-net"
    assert "tiny-net" in repr(embedder)
    assert "tiny-net" in embedder._repr_html_()
    list_weights()
    describe_weights("tiny-net")
    assert site.asked == []
    assert not home.exists()


@pytest.mark.parametrize("fitted", [False, True])
def test_a_name_embeds_as_its_file_does(
    site, tiny, samplecnn, clips, fitted, monkeypatch
):
    by_name = PretrainedEmbedder("tiny-net", layers=(-2, -1))
    table = (by_name.fit(clips) if fitted else by_name).transform(clips)
    assert site.asked == [None]

    def computed(*_):
        raise AssertionError("it was cached, by content")

    monkeypatch.setattr(SampleCNNNetwork, "embed", computed)
    by_path = PretrainedEmbedder(samplecnn, layers=(-2, -1)).transform(clips)
    np.testing.assert_array_equal(by_path, table)


def test_an_own_checksum_counts(tiny, clips):
    PretrainedEmbedder("tiny-net", sha256=tiny.sha256.upper()).fit(clips)
    with pytest.raises(ValueError, match=f"has SHA-256 {tiny.sha256}; expected 000"):
        PretrainedEmbedder("tiny-net", sha256="0" * 64).fit(clips)


def test_a_name_is_a_name_and_a_path_is_a_path(
    site, tiny, samplecnn, clips, tmp_path, monkeypatch
):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    planted = folder / "tiny-net"
    planted.write_bytes(b"not weights")
    assert len(PretrainedEmbedder("tiny-net").transform(clips)) == len(clips)
    for path in ("./tiny-net", Path("tiny-net"), planted, str(planted)):
        with pytest.raises(ValueError, match="tiny-net starts with"):
            PretrainedEmbedder(path).transform(clips)
    planted.write_bytes(samplecnn.read_bytes())
    embedder = PretrainedEmbedder(Path("tiny-net")).fit(clips)
    save(embedder, folder / "m")
    assert load(folder / "m").weights == "./tiny-net"
    (folder / "other").write_bytes(samplecnn.read_bytes())
    PretrainedEmbedder("other").fit(clips)  # no name, but a file
    assert len(site.asked) == 1
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.undo()


def test_a_mistaken_name_is_no_missing_file(clips):
    with pytest.raises(FileNotFoundError, match=r"'fcn-mtot' .*Nearest: fcn-mtat"):
        PretrainedEmbedder("fcn-mtot").fit(clips)
    with pytest.raises(FileNotFoundError, match=r"fcn-mtot"):
        PretrainedEmbedder("./fcn-mtot").fit(clips)


def test_a_search_over_names(tiny, change, sounds, monkeypatch):
    X, y = sounds
    monkeypatch.setitem(PUBLISHED, "tiny-too", replace(tiny, name="tiny-too"))
    model = make_pipeline(PretrainedEmbedder("tiny-net"), LogisticRegression())
    grid = {"pretrainedembedder__weights": ["tiny-net", "tiny-too"]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    first, second = search.cv_results_["mean_test_score"]
    assert first == second
    assert search.best_estimator_[0].weights == "tiny-net"


def test_files_hold_the_name_and_the_checksum(site, tiny, home, clips, tmp_path):
    embedder = PretrainedEmbedder("tiny-net").fit(clips)
    assert embedder.fingerprint_ == tiny.sha256
    table = embedder.transform(clips)
    save(embedder, tmp_path / "m")
    assert (tmp_path / "m").stat().st_size < 5_000
    again = load(tmp_path / "m"), pickle.loads(pickle.dumps(embedder))
    for loaded in again:
        assert loaded.weights == "tiny-net"
        np.testing.assert_array_equal(loaded.transform(clips), table)
    (home / "weights" / "tiny-net.safetensors").unlink()
    site.status = 503
    for loaded in again:
        with pytest.raises(OSError, match=rf"Could not download {tiny.address}"):
            loaded.transform(clips)
    site.status = 200
    for loaded in again:
        np.testing.assert_array_equal(loaded.transform(clips), table)


def test_other_weights_than_those_of_fit_are_refused(
    site, change, clips, tmp_path, samplecnn, home
):
    change(**OTHERS)
    embedder = PretrainedEmbedder("tiny-net").fit(clips)
    other = bytearray(samplecnn.read_bytes())
    other[-1] ^= 1
    (home / "weights" / "checksums.json").unlink()
    (home / "weights" / "tiny-net.safetensors").write_bytes(other)
    found = hashlib.sha256(other).hexdigest()
    with pytest.raises(ValueError, match=f"has SHA-256 {found}, but .*fitted"):
        embedder.transform(clips)
    assert embedder.fit(clips).fingerprint_ == found
    embedder.transform(clips)


def test_coala_gets_its_scaler(site, published, monkeypatch, tmp_path, clips):
    X = clips[-1:]
    net, scale = tmp_path / "net.pt", np.full(96, 1e-3)
    torch.save(published.coala_tensors(), net)
    scaler = tmp_path / "scaler.pkl"
    scaler.write_bytes(scaler_pickle(scale, np.full(96, 0.5)))
    site.files |= {"net.pt": net.read_bytes(), "scaler.pkl": scaler.read_bytes()}
    files = [
        {
            "address": f"{site.url}/{path.name}",
            "git_blob": blob_of(path.read_bytes()),
            "sha256": None,
            "n_bytes": None,
        }
        for path in (net, scaler)
    ]
    entry = replace(
        PUBLISHED["coala-ae-c"],
        name="coala-tiny",
        scaler=PublishedFile(file="tiny-scaler.pkl", **files[1]),
        **{**files[0], "file": "coala-tiny.pt"},
    )
    monkeypatch.setitem(PUBLISHED, "coala-tiny", entry)
    by_name = PretrainedEmbedder("coala-tiny", sr=22_000, cache=False).fit(X)
    assert sorted(site.names) == ["net.pt", "scaler.pkl"]
    by_path = PretrainedEmbedder(net, scaler=scaler, sr=22_000, cache=False)
    np.testing.assert_array_equal(by_name.transform(X), by_path.transform(X))
    own = tmp_path / "own.pkl"
    own.write_bytes(scaler_pickle(scale, np.full(96, 0.4)))
    other = clone(by_name).set_params(scaler=own)
    assert not np.array_equal(other.transform(X), by_name.transform(X))
    assert fetch_weights("coala-tiny").read_bytes() == net.read_bytes()
    assert len(site.names) == 2
    fetch_weights("coala-tiny", tmp_path / "elsewhere")
    assert sorted(site.names[2:]) == ["net.pt", "scaler.pkl"]


def test_hear_takes_names(tiny):
    model = hear_module.load_model("tiny-net")
    assert model.scene_embedding_size == 51


# ------------------------------------------------------------------ tables and cards


def test_the_table_has_all_that_is_known():
    table = list_weights()
    assert table.columns.tolist() == [
        *("name", "network", "task", "rate", "seconds", "parameters", "bytes"),
        *("licence", "citation", "address", "sha256", "is_here"),
    ]
    assert table["name"].tolist() == list(PUBLISHED)
    row = table.set_index("name").loc["musicnn-jamendo"]
    assert (row["rate"], row["seconds"], row["bytes"]) == (16_000, 3.0, 3_257_168)
    tags = table.set_index("name").loc["coala-tags-e-c"]
    assert tags[["rate", "seconds", "bytes", "sha256"]].isna().all()


@pytest.mark.parametrize("name", PUBLISHED)
def test_cards_print(name, capsys):
    assert describe_weights(name) is None
    text = capsys.readouterr().out
    entry = PUBLISHED[name]
    assert text.startswith(f"{name}\n")
    assert f"{entry.n_parameters:,} parameters" in text
    assert entry.address in text
    assert text.count("None") == 0
    for title in ("Input:", "Output:", "Embedding:", "Licence:", "Cite:", "Mind:"):
        assert f"\n{title}" in text


def test_tags_are_on_the_card(change, capsys):
    change(tags=("solo piano", "rain"))
    describe_weights("tiny-net")
    assert "\nTags:       solo piano, rain\n" in capsys.readouterr().out


def test_the_card_is_shown_below_scikit_learns_diagram(site, change, samplecnn):
    change(network="<script>alert(1)</script>")
    embedder = PretrainedEmbedder("tiny-net")
    for html in (
        embedder._repr_html_(),
        embedder._repr_mimebundle_()["text/html"],
    ):
        assert "sk-top-container" in html
        assert "Published weights: tiny-net" in html
        assert "&lt;script&gt;alert(1)" in html
        assert "<script>alert(1)" not in html
    assert "Published weights" not in PretrainedEmbedder(samplecnn)._repr_html_()
    make_pipeline(embedder, LogisticRegression())._repr_html_()
    assert site.asked == []


# ------------------------------------------------------------------ the real files


@pytest.mark.parametrize(
    "name", [name for name, entry in PUBLISHED.items() if entry.sha256]
)
def test_real_files_are_served_and_taken(site, shared_data, home, name, monkeypatch):
    network, _, data = name.partition("-")
    file = shared_data / "weights" / f"{data}_{network}.pth"
    if not file.is_file():
        pytest.skip(f"no real weights: {file.name} is missing in ../shared/data")
    site.files[file.name] = file.read_bytes()
    entry = replace(PUBLISHED[name], address=f"{site.url}/{file.name}")
    monkeypatch.setitem(PUBLISHED, name, entry)
    site.cuts = [400_000]
    path = fetch_quickly(name)
    assert path.read_bytes() == file.read_bytes()
    assert path.stat().st_size == entry.n_bytes
    assert site.asked == [None, "bytes=400000-"]
    trained = [
        tensor.numel()
        for key, tensor in torch.load(path, "cpu", weights_only=True).items()
        if not key.startswith("spec.") and "running" not in key and "num_b" not in key
    ]
    assert sum(trained) == entry.n_parameters
    embedder = PretrainedEmbedder(name, sr=8000).fit([np.zeros(800)])
    assert embedder.sample_rate_ == entry.rate
    assert embedder.fingerprint_ == entry.sha256
    tags = clone(embedder).set_params(output="tags").fit_transform([np.zeros(800)])
    assert tags.shape == (1, len(entry.tags))
