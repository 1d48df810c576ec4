"""fetch_gtzan_speech_music against a local server, and without one."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
import soundfile

from skaudio.datasets import _gtzan_speech_music as gtzan
from skaudio.datasets import fetch_gtzan_speech_music

LAYOUT = gtzan.Layout(classes={"music": 8, "speech": 8}, max_faulty=2)
NAMES = "bagpipe jazz1 un-poco_2 s.p.q.r 1 news Ünïcode female".split()


def _wav(seed, frames=300):
    out = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, frames)
    soundfile.write(out, noise, 22050, format="WAV")
    return out.getvalue()


def _tar(**changed):
    """The wav folders, and others with the same sounds that are not wanted."""
    files = {
        f"{label}_wav/{name}.wav": _wav(i)
        for label in LAYOUT.classes
        for i, name in enumerate(NAMES)
    }
    files |= {"music/jazz1.au": b"au", "music_wav/._jazz1.wav": b"mac", "README": b"?"}
    files |= {name.replace("__", "/") + ".wav": data for name, data in changed.items()}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"music_speech/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _publish(site, monkeypatch, content):
    site.files[gtzan.AUDIO] = content
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    monkeypatch.setitem(gtzan.CHECKSUMS, gtzan.AUDIO, checksum)


@pytest.fixture
def site(site, monkeypatch):
    monkeypatch.setattr(gtzan, "URL", site.url)
    monkeypatch.setattr(gtzan, "LAYOUT", LAYOUT)
    _publish(site, monkeypatch, _tar())
    return site


def _fetch(home, **options):
    return fetch_gtzan_speech_music(
        data_home=home, **{"delay": 0, "n_retries": 0, **options}
    )


def test_published_counts():
    assert gtzan.Layout().classes == {"music": 64, "speech": 64}
    assert gtzan.STATED.clips < gtzan.STATED.download  # the archive holds more


def test_a_quarter_of_each_class_is_for_training(site, tmp_path):
    data = _fetch(tmp_path)
    assert data.paths.shape == data.target.shape == data.groups.shape == (16,)
    assert data.target_names.tolist() == ["music", "speech"]
    for path, target in zip(data.paths, data.target, strict=True):
        assert f"{data.target_names[target]}_wav" in path
        assert soundfile.info(path).frames == 300
    assert np.bincount(data.target[data.train]).tolist() == [2, 2]
    assert np.bincount(data.target[data.test]).tolist() == [6, 6]
    ((train, test),) = data.cv.split()
    np.testing.assert_array_equal(train, data.train)
    np.testing.assert_array_equal(test, data.test)
    assert sorted([*train, *test]) == list(range(16))
    assert list(data.frame) == ["filename", "class", "subset", "path"]
    assert not list(tmp_path.rglob("*.au"))
    seeds = [_fetch(tmp_path, random_state=seed).train.tolist() for seed in range(4)]
    assert len(set(map(tuple, seeds))) > 1
    paths, _ = _fetch(tmp_path, return_X_y=True, download_if_missing=False)
    np.testing.assert_array_equal(paths, data.paths)


def test_an_archive_at_hand_is_taken(site, tmp_path, monkeypatch):
    """The publisher's server is gone."""
    monkeypatch.setattr(gtzan, "URL", "http://127.0.0.1:9")  # nobody listens
    with pytest.raises(OSError, match=r"Could not download .*refused") as caught:
        _fetch(tmp_path)
    (note,) = caught.value.__notes__
    folder = tmp_path / "gtzan_speech_music"
    assert str(folder) in note
    assert gtzan.AUDIO in note
    (folder / gtzan.AUDIO).write_bytes(site.files[gtzan.AUDIO])
    assert _fetch(tmp_path).paths.shape == (16,)
    assert site.asked == []
    assert sorted(p.name for p in folder.iterdir() if p.name[0] != ".") == ["data"]


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"music_wav__another": _wav(0)}, "'music': 9, 'speech': 8"),
        (
            {f"music_wav__{name}": b"" for name in NAMES[:3] if "." not in name},
            "3 of its 16 clips are missing or unreadable: music_wav/bagpipe",
        ),
    ],
)
def test_other_contents(site, tmp_path, monkeypatch, changed, match):
    _publish(site, monkeypatch, _tar(**changed))
    with pytest.raises(OSError, match=f"not as described: .*{match}"):
        _fetch(tmp_path)


def test_a_faulty_file_is_named_and_left_out(site, tmp_path, monkeypatch):
    _publish(site, monkeypatch, _tar(speech_wav__news=b"\0" * 99))
    with pytest.warns(UserWarning, match=r"1 of the 16 .*news\.wav") as caught:
        data = _fetch(tmp_path)
    assert caught[0].filename == __file__.replace(".pyc", ".py")
    assert len(data.paths) == 15
