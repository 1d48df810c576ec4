"""TagBinarizer: texts, lists of words, labels and matrices become indicators."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import MultiLabelBinarizer

from skaudio.persistence import load, save
from skaudio.preprocessing import TagBinarizer

TEXTS = [
    "Bass clarinet forte",
    "the drums, drum; LOUD",
    "crying_baby hip-hop 80s",
    "",
    "blues bus (wolves) #loop x 7",
]
MATRIX = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0], [0, 0, 1]])


def test_words_of_texts():
    binarizer = TagBinarizer()
    Y = binarizer.fit_transform(TEXTS)
    assert list(binarizer.classes_) == [
        *("80s", "bass", "blues", "bus", "clarinet", "crying_baby", "drum", "forte"),
        *("hip-hop", "loop", "loud", "wolf"),
    ]
    assert binarizer.inverse_transform(Y) == [
        ("bass", "clarinet", "forte"),
        ("drum", "loud"),
        ("80s", "crying_baby", "hip-hop"),
        (),
        ("blues", "bus", "loop", "wolf"),
    ]
    assert binarizer.n_without_tags_ == 1
    assert binarizer.dropped_["token_pattern"] == ["7", "x"]
    assert binarizer.dropped_["stop_words"] == ["the"]
    assert list(binarizer.vocabulary_.values()) == list(range(12))


def test_entries_of_lists_are_tags_as_they_are():
    tags = [["Bass Clarinets", " forte "], ("dog barks",), {"the"}, np.array(["rain"])]
    binarizer = TagBinarizer().fit(tags)
    assert list(binarizer.classes_) == ["bass clarinet", "dog bark", "forte", "rain"]
    assert binarizer.n_without_tags_ == 1
    padded = np.array([["dog", "rain"], ["rain", ""], ["sea", ""]])
    binarizer = TagBinarizer().fit(padded)
    assert list(binarizer.classes_) == ["dog", "rain", "sea"]
    assert binarizer.dropped_["token_pattern"] == []


def test_separators_and_punctuation():
    binarizer = TagBinarizer().fit(["dog,rain;sea", "\t(dog)\n-- 'rain'!", "& wind"])
    assert list(binarizer.classes_) == ["dog", "rain", "sea", "wind"]
    assert binarizer.dropped_["token_pattern"] == ["&", "--"]


def test_rule_of_the_authors():
    """Letters only; of lower case, no stop words, singular, of ten clips or more."""
    rule = TagBinarizer(token_pattern=r"[^\W\d_]{2,}", min_df=2)
    texts = ["Drums 80s hip-hop a", "drum 80s hip-hop été", "voices and été", "voice"]
    assert list(rule.fit(texts).classes_) == ["drum", "voice", "été"]
    assert rule.dropped_["token_pattern"] == ["80s", "a", "hip-hop"]


def test_agrees_with_the_count_vectorizer():
    """Which has the same parameters, for words that no other rule touches."""
    rng = np.random.default_rng(0)
    names = np.array(["kick", "snare", "hat", "clap", "tom", "ride", "gong", "bell"])
    texts = [
        " ".join(names[rng.random(8) < np.linspace(0.1, 0.9, 8)]) for _ in "a" * 40
    ]
    for limits in (
        {"max_df": 0.5},
        {"max_df": 20, "min_df": 8},
        {"min_df": 0.25, "max_df": 1.0},
        {"max_df": 0.8, "max_features": 3},
    ):
        ours = TagBinarizer(**limits).fit(texts)
        theirs = CountVectorizer(**limits, binary=True, stop_words=None).fit(texts)
        assert list(ours.classes_) == list(theirs.get_feature_names_out())
        np.testing.assert_array_equal(
            ours.transform(texts), theirs.transform(texts).toarray()
        )


def test_agrees_with_the_multi_label_binarizer():
    words = [("dog", "rain"), (), ("rain", "siren"), ("cat",)]
    ours, theirs = TagBinarizer().fit(words), MultiLabelBinarizer().fit(words)
    Y = theirs.transform(words)
    np.testing.assert_array_equal(ours.transform(words), Y)
    assert list(ours.classes_) == list(theirs.classes_)
    assert ours.inverse_transform(Y) == theirs.inverse_transform(Y)


def test_limits_and_what_they_drop():
    texts = ["dog rain", "dog wind", "dog wind", "dog sea"]
    binarizer = TagBinarizer(max_features=2).fit(texts)
    assert list(binarizer.classes_) == ["rain", "wind"], "the first among equals"
    assert binarizer.dropped_["max_df"] == ["dog"]
    assert binarizer.dropped_["max_features"] == ["sea"]
    assert binarizer.n_without_tags_ == 1
    assert TagBinarizer(min_df=2).fit(texts).dropped_["min_df"] == ["rain", "sea"]
    everything = TagBinarizer(max_df=1.0, max_features=None).fit(texts)
    assert list(everything.classes_) == ["dog", "rain", "sea", "wind"]


def test_stop_words():
    """Those of English, without the names of sounds that scikit-learn's list has."""
    texts = ["this is the call of a fire", "cry two", "not empty"]
    assert list(TagBinarizer().fit(texts).classes_) == [
        *("call", "cry", "empty", "fire", "two")
    ]
    own = TagBinarizer(stop_words=["call", "cry"]).fit(texts)
    assert {"the", "fire"} < set(own.classes_)
    assert not {"call", "cry"} & set(own.classes_)
    plurals = TagBinarizer(stop_words=["fire"]).fit(["fires call", "Fire cry"])
    assert list(plurals.classes_) == ["call", "cry"]
    assert plurals.dropped_["stop_words"] == ["fire", "fires"]
    plural = TagBinarizer(stop_words=["fires"]).fit(["fires call", "Fire cry"])
    assert plural.dropped_["stop_words"] == ["fires"]
    as_they_are = TagBinarizer(stop_words=["fire"], singular=False)
    assert "fires" in as_they_are.fit(["fires call", "fire"]).classes_
    assert "the" in TagBinarizer(stop_words=None).fit(texts).classes_


def test_switches():
    texts = ["Drums drum", "Bass"]
    assert list(TagBinarizer(singular=False).fit(texts).classes_) == [
        *("bass", "drum", "drums")
    ]
    assert list(TagBinarizer(lowercase=False).fit(texts).classes_) == [
        *("Bass", "Drum", "drum")
    ]


def test_one_word_in_two_encodings():
    binarizer = TagBinarizer().fit(["cafe\u0301", "caf\u00e9", "th\u00e9"])
    assert list(binarizer.classes_) == ["caf\u00e9", "th\u00e9"]


@pytest.mark.parametrize("labels", [[3, 1, 3, 20], np.array([3, 1, 3, 20])])
def test_labels_that_are_numbers(labels):
    binarizer = TagBinarizer()
    Y = binarizer.fit_transform(labels)
    assert list(binarizer.classes_) == ["1", "20", "3"]
    np.testing.assert_array_equal(Y, [[0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_ones_and_zeros_of_several_lengths_are_words():
    assert TagBinarizer().fit([[1], [0, 2], [1, 0]]).classes_.tolist() == [
        "0",
        "1",
        "2",
    ]
    assert TagBinarizer().fit([[1], [0], []]).classes_.tolist() == ["0", "1"]


def test_labels_of_other_kinds():
    assert list(TagBinarizer().fit([True, False]).classes_) == ["False", "True"]
    assert list(TagBinarizer().fit([0.5, 1.0]).classes_) == ["0.5", "1.0"]
    categories = pd.Series(["dog", "rain"], dtype="category", index=[7, 3])
    assert list(TagBinarizer().fit(categories).classes_) == ["dog", "rain"]
    for ids in (
        [[12, 5], [5, 7], [9]],
        [[12, 5], [7, 9]],
        [[12, 0], [7, 1]],
        [[1], [0, 1], [5]],
    ):
        words = sorted({str(i) for row in ids for i in row})
        assert list(TagBinarizer().fit(ids).classes_) == words


FRAME = pd.DataFrame(MATRIX, columns=["dog", "Rains", "the"], index=[5, 1, 9, 2])


@pytest.mark.parametrize(
    ("matrix", "names"),
    [
        (MATRIX, "012"),
        (MATRIX.astype(bool), "012"),
        (MATRIX.astype(np.float32), "012"),
        (MATRIX.astype(object), "012"),
        (MATRIX.tolist(), "012"),
        (sparse.csc_matrix(MATRIX), "012"),
        (sparse.coo_array(MATRIX), "012"),
        (FRAME, ["dog", "Rains", "the"]),
        (FRAME.astype(bool), ["dog", "Rains", "the"]),
        (FRAME.astype({"dog": bool}), ["dog", "Rains", "the"]),
        (pd.DataFrame(MATRIX), "012"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_indicator_matrices_pass_through(matrix, names):
    binarizer = TagBinarizer()
    Y = binarizer.fit_transform(matrix)
    assert list(binarizer.classes_) == list(names)
    np.testing.assert_array_equal(Y, MATRIX)
    assert Y.dtype == np.int64
    assert binarizer.n_without_tags_ == 1
    thin = binarizer.set_params(sparse_output=True).transform(matrix)
    assert sparse.issparse(thin)
    np.testing.assert_array_equal(thin.toarray(), MATRIX)
    assert binarizer.inverse_transform(thin) == binarizer.inverse_transform(Y)


def test_clips_without_tags_are_counted():
    assert TagBinarizer().fit(np.eye(3)).n_without_tags_ == 0
    assert TagBinarizer().fit(np.eye(5)[:, :2]).n_without_tags_ == 3
    assert TagBinarizer().fit(["dog", "rain"]).n_without_tags_ == 0


def test_sparse_output_of_words():
    Y = TagBinarizer(sparse_output=True).fit_transform(TEXTS)
    assert sparse.issparse(Y)
    np.testing.assert_array_equal(Y.toarray(), TagBinarizer().fit_transform(TEXTS))


def test_a_vocabulary_of_ones_own():
    words = ["wind", "bas", "drum"]
    binarizer = TagBinarizer(vocabulary=words).fit(["drums", "dog"])
    assert list(binarizer.classes_) == words, "order kept, and words as they are"
    np.testing.assert_array_equal(binarizer.transform(["wind drum"]), [[1, 0, 1]])
    assert binarizer.dropped_["vocabulary"] == ["dog"]
    assert binarizer.n_without_tags_ == 1
    named = TagBinarizer(vocabulary=words).fit(MATRIX)
    assert named.inverse_transform(MATRIX[:1]) == [("wind", "drum")]
    with pytest.raises(ValueError, match="has 3 columns, but vocabulary has 2 tags"):
        TagBinarizer(vocabulary=["a", "b"]).fit(MATRIX)
    with pytest.raises(ValueError, match="got 'Rains' where 'the' belongs"):
        TagBinarizer(vocabulary=["dog", "the", "Rains"]).fit(FRAME)
    with pytest.raises(ValueError, match="must be unique; a come twice"):
        TagBinarizer(vocabulary=["a", "b", "a"]).fit(MATRIX)
    with pytest.raises(ValueError, match=r"The 'vocabulary' parameter .* Got \{'0'"):
        TagBinarizer(vocabulary={"0": "dog"}).fit(["dog"])


def test_a_tag_as_it_stands_needs_no_cleaning():
    """Names of columns, and what a vocabulary has, whatever the rule makes of them."""
    names = ["kick drum", "Rains", "the", "c#", "drums"]
    matrix = np.eye(5, dtype=int)
    for binarizer in (
        TagBinarizer().fit(pd.DataFrame(matrix, columns=names)),
        TagBinarizer(vocabulary=names).fit(matrix),
        TagBinarizer(vocabulary=names).fit(["the Rains"]),
    ):
        np.testing.assert_array_equal(binarizer.transform(names), matrix)
        np.testing.assert_array_equal(
            binarizer.transform([[name] for name in names]), matrix
        )
        np.testing.assert_array_equal(
            binarizer.transform(["drums Rains dogs", "c# (the)"]),
            [[0, 1, 0, 0, 1], [0, 0, 1, 1, 0]],
        )
        for name in names:
            assert binarizer.check_known(name) == [name]
        assert binarizer.check_known(" Kick Drum") == ["kick drum"]
        assert binarizer.check_known("DRUMS") == ["drums"]
    for accent in ("caf\u00e9", "cafe\u0301"):
        named = TagBinarizer(vocabulary=[accent]).fit(["rain"])
        assert named.check_known(accent) == [accent]


def test_a_word_that_was_left_out_is_said_to_be():
    binarizer = TagBinarizer(max_df=2).fit(["dog note", "rain note", "bell note"])
    with pytest.raises(ValueError, match="unknown tag 'note'; max_df left it out"):
        binarizer.check_known("note")


def test_transform_leaves_out_what_is_not_known():
    binarizer = TagBinarizer().fit(["dog", "rain"])
    Y = binarizer.transform(["rain cat", ["dog"], "cat", []])
    np.testing.assert_array_equal(Y, [[0, 1], [1, 0], [0, 0], [0, 0]])


def test_columns_of_other_tags_are_refused():
    binarizer = TagBinarizer().fit(["dog", "rain"])
    np.testing.assert_array_equal(binarizer.transform([[1, 0]]), [[1, 0]])
    with pytest.raises(ValueError, match="has 3 columns, but there are 2 tags: dog, r"):
        binarizer.transform(MATRIX)
    swapped = pd.DataFrame([[1, 0]], columns=["rain", "dog"])
    with pytest.raises(ValueError, match="got 'rain' where 'dog' belongs"):
        binarizer.transform(swapped)
    with pytest.raises(ValueError, match="has 3 columns, but there are 2"):
        binarizer.inverse_transform(MATRIX)
    with pytest.raises(ValueError, match="not an indicator matrix"):
        binarizer.inverse_transform(["dog"])


def test_check_known():
    binarizer = TagBinarizer().fit(["violin piano", "bass drum", [3]])
    assert binarizer.check_known("the Drums and violins") == ["drum", "violin"]
    assert binarizer.check_known(["Piano", 3, "pianos"]) == ["piano", "3"]
    with pytest.raises(ValueError, match="unknown tag 'vilion'; nearest known: 'viol"):
        binarizer.check_known("piano vilion")
    with pytest.raises(ValueError, match="unknown tag 'x'; none is spelt alike; known"):
        binarizer.check_known(["x"])
    with pytest.raises(ValueError, match="'the' has no tag"):
        binarizer.check_known("the")


def test_data_frames_out():
    binarizer = TagBinarizer().set_output(transform="pandas")
    series = pd.Series(["dog", "rain", "dog wind"], index=["c", "a", "b"])
    table = binarizer.fit_transform(series)
    assert list(table.columns) == ["dog", "rain", "wind"]
    assert list(table.index) == ["c", "a", "b"]
    assert list(binarizer.get_feature_names_out()) == ["dog", "rain", "wind"]
    column = series.to_frame("tags")
    pd.testing.assert_frame_equal(binarizer.fit(column).transform(column), table)
    assert list(binarizer.transform(["dog"]).index) == [0]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("dog rain", r"got a single text. Put it in a list: \[text\]"),
        (b"dog", "got a single text"),
        ([], "got none, and at least one clip"),
        (np.empty((0, 3)), r"got a matrix of shape \(0, 3\)"),
        (None, "got None"),
        (3, "got 3"),
        (np.zeros((2, 2, 2)), r"got an array of shape \(2, 2, 2\)"),
        ({"dog": 1}, "got a dict, whose entries do not stand for clips"),
        ({"dog", "cat"}, "got a set, whose entries"),
        ((word for word in ("dog", "cat")), "a generator can be read only once"),
        (["dog", None], "tags of clip 1 are missing: None. Drop that clip"),
        (["dog", np.nan, "cat"], "tags of clip 1 are missing: nan"),
        (pd.Series(["dog", None], dtype="string"), "tags of clip 1 are missing: <NA>"),
        (np.array([1.0, np.nan]), "tags of clip 1 are missing"),
        ([["dog"], ["cat", None]], "Clip 1 has a tag that is neither .* None"),
        ([["dog"], [["cat"]]], "Clip 1 has a tag that is neither"),
        ([["dog"], b"cat"], "those of clip 1 are a bytes"),
        ([["dog"], {"cat": 1}], "those of clip 1 are a dict"),
        ([[0, 1], [1, 0]] @ np.array([[2, 0], [0, 1]]), "row 1 has 2"),
        (np.array([[0, 1], [np.nan, 1]]), "row 1 has nan"),
        (sparse.csr_matrix([[0, 0], [0, 3]]), "row 1 has 3"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), r"columns \['a', 'b'\]. Pass the col"),
        ([[], []], "No tag is left of those of 2 clips: all of them are empty"),
        (["", " "], "No tag is left of those of 2 clips: all of them are empty"),
        (
            ["a", "the"],
            r"token_pattern='..\+' leaves out a; stop_words='english' ",
        ),
        (["dog", "dogs"], "max_df=0.7 leaves out dog"),
    ],
)
def test_what_is_no_tags(tags, message):
    with pytest.raises(ValueError, match=message):
        TagBinarizer().fit(tags)


def test_limits_that_leave_nothing():
    with pytest.raises(ValueError, match=r"min_df=2 leaves out dog, rain\."):
        TagBinarizer(min_df=2, max_df=1.0).fit(["dog", "rain"])
    with pytest.raises(
        ValueError, match=r"Of 2 clips, max_df=0.5 is 1, fewer than min"
    ):
        TagBinarizer(min_df=2, max_df=0.5).fit(["dog", "rain"])
    with pytest.raises(ValueError, match="token_pattern='\\(' is no regular exp"):
        TagBinarizer(token_pattern="(").fit(["dog", "rain"])
    with pytest.raises(ValueError, match="vocabulary has no tag"):
        TagBinarizer(vocabulary=[]).fit(["dog", "rain"])


@pytest.mark.parametrize(
    "wrong", [{"max_df": 1.5}, {"min_df": 0}, {"max_features": 0}, {"singular": "no"}]
)
def test_parameters_are_checked(wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter"):
        TagBinarizer(**wrong).fit(["dog", "rain"])


# ------------------------------------------------------- the contracts of estimators


def test_not_fitted():
    for method in ("transform", "inverse_transform", "check_known"):
        with pytest.raises(NotFittedError):
            getattr(TagBinarizer(), method)(["dog"])
    with pytest.raises(NotFittedError):
        TagBinarizer().get_feature_names_out()


def test_copies(tmp_path):
    binarizer = TagBinarizer(stop_words=["rain"], max_df=0.9).fit(TEXTS)
    save(binarizer, tmp_path / "tags")
    expected = binarizer.transform(TEXTS)
    for copy in (pickle.loads(pickle.dumps(binarizer)), load(tmp_path / "tags")):
        assert copy.get_params() == binarizer.get_params()
        np.testing.assert_array_equal(copy.transform(TEXTS), expected)
        assert copy.dropped_ == binarizer.dropped_
        assert list(copy.classes_) == list(binarizer.classes_)
    blank = clone(binarizer)
    assert blank.get_params() == binarizer.get_params()
    assert not hasattr(blank, "classes_")


def test_a_second_fit_forgets_the_first():
    binarizer = TagBinarizer().fit(["dog", "rain"])
    assert binarizer.fit(["cat", "sea"]) is binarizer
    assert list(binarizer.classes_) == ["cat", "sea"]
    with pytest.raises(ValueError, match="No tag is left"):
        binarizer.fit(["", ""])
    assert list(binarizer.classes_) == ["cat", "sea"], (
        "a fit that fails changes nothing"
    )


def test_input_is_left_alone():
    tags = [["Drums"], ["bass"]]
    TagBinarizer().fit(tags).transform(tags)
    assert tags == [["Drums"], ["bass"]]
    matrix = sparse.csr_matrix(MATRIX.astype(float))
    matrix.data[0] = 0  # stored, and not a tag
    binarizer = TagBinarizer(sparse_output=True).fit(matrix)
    assert binarizer.inverse_transform(matrix)[0] == ("2",)
    assert matrix.nnz == 5
