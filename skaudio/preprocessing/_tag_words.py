"""From the words of a clip to its tags: case, token pattern, stop words, singular."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable
from typing import Any

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from skaudio.preprocessing._singular import singular
from skaudio.preprocessing._tag_rows import words_of

# in scikit-learn's list, and yet what sounds, or how
_NAMES_OF_SOUNDS = frozenset(
    "bill bottom call cry empty fill fire found front full last mill mine move name "
    "part serious show side system thick thin top first third one two three four five "
    "six eight nine ten eleven twelve fifteen twenty forty fifty sixty hundred".split()
)
STOP_WORDS = ENGLISH_STOP_WORDS - _NAMES_OF_SOUNDS


class WordRule:
    """How words become tags.

    Parameters
    ----------
    token_pattern : str
        What a whole word must match.
    stop_words : "english", list of str or None
        Words to leave out.
    lowercase : bool
        Whether words are put in lower case first.
    make_singular : bool
        Whether plurals are replaced.
    known : iterable of str
        Tags that words, or whole texts, may be as they stand.

    Attributes
    ----------
    dropped : dict of str to set of str
        Words left out so far, by parameter.
    """

    def __init__(
        self,
        token_pattern: str,
        stop_words: Any,
        lowercase: bool,
        make_singular: bool,
        known: Iterable[str],
    ) -> None:
        try:
            self._pattern = re.compile(token_pattern)
        except re.error as error:
            raise ValueError(
                f"token_pattern={token_pattern!r} is no regular expression: {error}."
            ) from error
        is_english = isinstance(stop_words, str)
        self._stop_words = STOP_WORDS if is_english else frozenset(stop_words or ())
        self._lowercase = lowercase
        self._make_singular = make_singular
        self._known = frozenset(known)
        self.dropped: dict[str, set[str]] = {
            "token_pattern": set(),
            "stop_words": set(),
        }

    def tags(self, row: Any, i: int) -> list[str]:
        """Tags of clip ``i``, none twice, in the order of its words."""
        if isinstance(row, str) and (tag := self._cased(row.strip())) in self._known:
            return [tag]
        words, labels = words_of(row, i)
        if isinstance(row, str):
            words = [self._bare(word) for word in words]
        return list(dict.fromkeys([*self._cleaned(words), *labels]))

    def _bare(self, word: str) -> str:
        """A word of a text without punctuation around it."""
        if self._cased(word) in self._known:
            return word
        return word.strip(string.punctuation) or word

    def _cased(self, word: str) -> str:
        """A word as it is if that is a tag, otherwise in lower case if so wanted."""
        if word in self._known:
            return word
        word = unicodedata.normalize("NFC", word)
        return word.lower() if self._lowercase and word not in self._known else word

    def _cleaned(self, words: Iterable[str]) -> Iterable[str]:
        for word in filter(None, words):
            tag = self._cased(word)
            if tag in self._known:
                yield tag
                continue
            if not self._pattern.fullmatch(tag) or not any(map(str.isalnum, tag)):
                self.dropped["token_pattern"].add(tag)
                continue
            form = singular(tag) if self._make_singular else tag
            if tag in self._stop_words or form in self._stop_words:
                self.dropped["stop_words"].add(tag)
            else:
                yield form
