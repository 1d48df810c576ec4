"""fetch_dcase2016 against a local server: folds, sources, sets, and what goes wrong."""

import hashlib
import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from skaudio.datasets import _dcase2016, clear_data_home, fetch_dcase2016

SCENES = ["beach", "cafe/restaurant"]
LAYOUT = _dcase2016.Layout(n_classes=2, n_folds=2)
PER_CLASS = {"development": 4, "evaluation": 2}
REAL = dict(_dcase2016.RELEASES)


def _wav(seed):
    out = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, (300, 2))
    soundfile.write(out, noise, 44100, format="WAV", subtype="PCM_24")
    return out.getvalue()


def _lines(rows):
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def _development():
    """Members of the archives: two scenes, two folds, two clips of one recording."""
    rows, audio = [], {}
    tested = {1: [], 2: []}
    for scene, letter in zip(SCENES, "ba", strict=True):
        for fold in (1, 2):
            for start in (90, 120):
                name = f"audio/{letter}0{fold}0_{start}_{start + 30}.wav"
                rows.append((name, scene))
                tested[fold].append((name, scene))
                audio[name] = _wav(len(rows))
    meta = {"meta.txt": _lines(rows)}
    for fold, other in ((1, 2), (2, 1)):
        stem = f"evaluation_setup/fold{fold}"
        meta[f"{stem}_train.txt"] = _lines(tested[other])
        meta[f"{stem}_test.txt"] = _lines([row[:1] for row in tested[fold]])
        meta[f"{stem}_evaluate.txt"] = _lines(tested[fold])
    return meta, audio


def _evaluation():
    rows = [
        (
            f"audio/{i}.wav",
            SCENES[i % 2],
            f"audio/{'ba'[i % 2]}300_{30 * i}_{30 * i}.wav",
        )
        for i in range(4)
    ]
    meta = {
        "meta.txt": _lines([row[:2] for row in rows]),
        "evaluation_setup/evaluate.txt": _lines(rows),
        "evaluation_setup/test.txt": _lines([row[:1] for row in rows]),
    }
    return meta, {row[0]: _wav(i) for i, row in enumerate(rows)}


def _zip(part, members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"TUT-acoustic-scenes-2016-{part}/{name}", content)
    return out.getvalue()


def _archives(part, meta, audio):
    """What the publisher has, as {name: bytes}; the clips in two archives."""
    doc = {"README.md": b"x", "EULA.pdf": b"terms", "../../escape.txt": b"never"}
    names = sorted(audio)
    members = {
        "doc": doc,
        "meta": meta,
        "audio.1": {name: audio[name] for name in names[::2]},
        "audio.2": {name: audio[name] for name in names[1::2]},
    }
    return {
        f"TUT-acoustic-scenes-2016-{part}.{key}.zip": _zip(part, content)
        for key, content in members.items()
    }


def _publish(site, monkeypatch, part, meta, audio):
    archives = _archives(part, meta, audio)
    site.files.update(archives)
    sums = {
        name.removesuffix(".zip").partition(f"{part}.")[2]: "md5:"
        + hashlib.md5(content).hexdigest()
        for name, content in archives.items()
    }
    release = replace(REAL[part], clips_per_class=PER_CLASS[part], checksums=sums)
    monkeypatch.setitem(_dcase2016.RELEASES, part, release)


@pytest.fixture
def site(site, monkeypatch):
    monkeypatch.setattr(_dcase2016, "BASE_URL", site.url)
    monkeypatch.setattr(_dcase2016, "LAYOUT", LAYOUT)
    _publish(site, monkeypatch, "development", *_development())
    _publish(site, monkeypatch, "evaluation", *_evaluation())
    return site


def _fetch(home, **options):
    return fetch_dcase2016(data_home=home, **{"delay": 0, "n_retries": 0, **options})


def _cached(home):
    folder = home / "dcase2016"
    return sorted(p.name for p in folder.iterdir() if p.name[0] != ".")


# ------------------------------------------------------------------------- whole
def test_development(site, tmp_path):
    data = _fetch(tmp_path)
    assert data.paths.shape == data.target.shape == (8,)
    assert data.target_names.tolist() == SCENES
    assert data.frame["scene_label"].tolist() == data.target_names[data.target].tolist()
    assert (
        data.groups.tolist() == np.repeat(["a010", "a020", "b010", "b020"], 2).tolist()
    )
    assert data.folds.tolist() == [1, 1, 2, 2] * 2
    assert data.cv.get_n_splits() == 2
    for fold, (train, test) in enumerate(data.cv.split(), 1):
        assert set(data.folds[test]) == {fold}
        assert not set(data.groups[train]) & set(data.groups[test])
    assert "non-commercial" in data.DESCR
    for path in data.paths:
        assert soundfile.info(path).channels == 2
    assert _cached(tmp_path) == ["development"]
    files = sorted(p.name for p in (tmp_path / "dcase2016/development").iterdir())
    assert files == [
        *("EULA.pdf", "README.md", "audio", "clips.csv", "evaluation_setup"),
        "meta.txt",
    ]
    assert not list(tmp_path.parent.rglob("escape.txt"))
    assert all("development" in name for name in site.names)


def test_evaluation_clips_have_their_recording_and_no_fold(site, tmp_path):
    data = _fetch(tmp_path, subset="evaluation")
    assert [path.rpartition("/")[2] for path in data.paths] == [
        f"{i}.wav" for i in range(4)
    ]
    assert data.groups.tolist() == ["b300", "a300"] * 2
    assert data.folds.tolist() == [0] * 4
    assert data.cv is None
    assert data.subset is data.train is data.test is None


def test_all_trains_on_development_and_tests_on_evaluation(site, tmp_path):
    data = _fetch(tmp_path, subset="all")
    ((train, test),) = data.cv.split()
    assert train.tolist() == list(range(8))
    assert test.tolist() == list(range(8, 12))
    assert data.subset.tolist() == ["train"] * 8 + ["test"] * 4
    assert data.train.tolist() == train.tolist()
    assert data.test.tolist() == test.tolist()
    assert len(data.valid) == 0
    assert data.frame["subset"].tolist() == ["development"] * 8 + ["evaluation"] * 4
    assert data.target_names[data.target[test]].tolist() == SCENES * 2
    paths, target = _fetch(tmp_path, subset="all", return_X_y=True)
    np.testing.assert_array_equal(paths, data.paths)
    np.testing.assert_array_equal(target, data.target)


def test_second_time_asks_for_nothing(site, tmp_path):
    first = _fetch(tmp_path)
    asked = len(site.asked)
    second = _fetch(tmp_path, download_if_missing=False)
    assert len(site.asked) == asked == 4
    assert first.frame.equals(second.frame)
    with pytest.raises(OSError, match=r"evaluation set of .* is not in .*evaluation"):
        _fetch(tmp_path, subset="all", download_if_missing=False)
    clear_data_home(tmp_path)
    assert not (tmp_path / "dcase2016").exists()


def test_unknown_subset(tmp_path):
    with pytest.raises(ValueError, match=r"one of \['development', .*; got 'dev'"):
        _fetch(tmp_path, subset="dev")


def test_published_sizes():
    """As in the records of the publisher."""
    development, evaluation = REAL["development"], REAL["evaluation"]
    assert _dcase2016.Layout() == _dcase2016.Layout(n_classes=15, n_folds=4)
    assert 15 * development.clips_per_class == 1170
    assert 15 * evaluation.clips_per_class == 390
    audio = [
        [k for k in r.checksums if "audio" in k] for r in (development, evaluation)
    ]
    assert [len(keys) for keys in audio] == [8, 3]
    sums = [s for r in (development, evaluation) for s in r.checksums.values()]
    assert len(set(sums)) == len(sums) == 16
    assert all(len(s) == len("md5:") + 32 for s in sums)


# --------------------------------------------------------------------------- cut
def test_parts_that_arrived_are_not_fetched_again(site, tmp_path):
    site.cuts = [None, None, 1000]
    with pytest.raises(OSError, match=r"audio\.1\.zip.*the 1000 bytes that arrived"):
        _fetch(tmp_path)
    stem = "TUT-acoustic-scenes-2016-development"
    assert _cached(tmp_path) == [
        f"{stem}.{key}" for key in ("audio.1.zip.part", "doc.zip", "meta.zip")
    ]
    site.asked, site.names = [], []
    _fetch(tmp_path)
    assert site.names == [f"{stem}.audio.1.zip", f"{stem}.audio.2.zip"]
    assert site.asked == ["bytes=1000-", None]
    assert _cached(tmp_path) == ["development"]


def test_no_network(site, tmp_path):
    site.status = 503
    with pytest.raises(OSError, match=r"Could not download .*doc\.zip.*503"):
        _fetch(tmp_path)
    assert _cached(tmp_path) == []


# ------------------------------------------------------------------------- wrong
def test_wrong_checksum(site, tmp_path):
    name = "TUT-acoustic-scenes-2016-development.audio.2.zip"
    good, site.files[name] = site.files[name], b"<html>please log in</html>"
    with pytest.raises(OSError, match=r"audio\.2\.zip .* not what was published"):
        _fetch(tmp_path)
    assert name not in _cached(tmp_path)
    assert not (tmp_path / "dcase2016/development").exists()
    site.files[name] = good
    assert _fetch(tmp_path).paths.shape == (8,)


def _without(members, name):
    return {k: v for k, v in members.items() if k != name}


def _replaced(meta, name, old, new):
    return {**meta, name: meta[name].replace(old, new, 1)}


FOLD = "evaluation_setup/fold2_evaluate.txt"
WRONG = {
    "no list": (lambda m, a: (_without(m, "meta.txt"), a), r"meta\.txt is missing"),
    "no fold": (lambda m, a: (_without(m, FOLD), a), "fold2_evaluate.txt is missing"),
    "a clip missing": (
        lambda m, a: (m, _without(a, "audio/b010_90_120.wav")),
        r"lists and files differ in 1: audio/b010_90_120\.wav",
    ),
    "a clip too many": (
        lambda m, a: (m, {**a, "audio/x.wav": _wav(0)}),
        r"differ in 1: audio/x\.wav",
    ),
    "a clip twice": (
        lambda m, a: (_replaced(m, "meta.txt", b"_120_150", b"_90_120"), a),
        "name a clip twice",
    ),
    "other counts": (
        lambda m, a: (_replaced(m, "meta.txt", b"beach", b"car"), a),
        "lists 8 clips, not 4 of each of 2 scenes",
    ),
    "a column less": (
        lambda m, a: (_replaced(m, "meta.txt", b"beach", b""), a),
        r"meta\.txt has rows with fewer than 2 columns",
    ),
    "tested twice": (
        lambda m, a: (_replaced(m, FOLD, b"b020_90_120", b"b010_90_120"), a),
        r"an earlier fold both test audio/b010_90_120\.wav",
    ),
    "never tested": (
        lambda m, a: ({**m, FOLD: m[FOLD].partition(b"\n")[2]}, a),
        r"do not test each clip once: audio/b020_90_120\.wav",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_contents_that_contradict_the_description(site, tmp_path, monkeypatch, what):
    """The checksums fit, so the fault would be ours: nothing large is thrown away."""
    change, match = WRONG[what]
    _publish(site, monkeypatch, "development", *change(*_development()))
    with pytest.raises(OSError, match=f"development .* not as described: .*{match}"):
        _fetch(tmp_path)
    assert len(_cached(tmp_path)) == 4
    assert not (tmp_path / "dcase2016/development").exists()


def test_evaluation_without_recordings(site, tmp_path, monkeypatch):
    meta, audio = _evaluation()
    meta["evaluation_setup/evaluate.txt"] = meta["meta.txt"]
    _publish(site, monkeypatch, "evaluation", meta, audio)
    with pytest.raises(OSError, match=r"evaluate\.txt has rows with fewer than 3"):
        _fetch(tmp_path, subset="evaluation")
