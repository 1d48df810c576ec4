"""Singular forms of English nouns, and words as they are where that is unsure."""

from __future__ import annotations

import re

# words in -s that are singular, or of which that is not sure; plurals of theirs are
# made with -es
UNCHANGED = frozenset(
    "alas alias always andreas antes anyways apropos ares asbestos athens atlas aves "
    "barbados beatles besides bias biceps blues brussels canvas carlos chaos charles "
    "christmas clothes contrabas corps cosmos dallas diabetes dias douglas downstairs "
    "elias ethos forceps gas glas gracias gros hades headquarters hermes herpes ios "
    "iris james jeans jonas judas jules kansas kudos laos lens lives lucas macos "
    "madras maldives marcos mars means measles menos mercedes mumps naples "
    "netherlands news nicolas overseas pajamas pancreas pants pathos perhaps "
    "philippines pliers pyjamas rabies reeves rhinoceros rhodes sans santos scissors "
    "series shorts sideways sometimes species temps texas thanks thermos thomas "
    "tights tongs tres triceps trousers ulysses undies upstairs vegas vibes voces "
    "wales whereas".split()
)
IRREGULAR = {
    **{"feet": "foot", "teeth": "tooth", "geese": "goose", "mice": "mouse"},
    **{"lice": "louse", "oxen": "ox", "women": "woman", "men": "man"},
    **{f"{who}men": f"{who}man" for who in ("fire", "fisher", "gentle", "police")},
    **{f"{who}men": f"{who}man" for who in ("snow", "sales", "work", "horse", "post")},
    **{
        "elves": "elf",
        "thieves": "thief",
        "dwarves": "dwarf",
        "quizzes": "quiz",
        "whizzes": "whiz",
    },
    **{f"{stem}ses": f"{stem}sis" for stem in ("analy", "cri", "diagno", "hypothe")},
    **{
        f"{stem}ses": f"{stem}sis"
        for stem in ("oa", "parenthe", "synop", "synthe", "the")
    },
    **{"cds": "cd", "djs": "dj", "tvs": "tv", "pcs": "pc", "axes": "axe"},
    **{"pickaxes": "pickaxe", "taxis": "taxi", "skis": "ski", "kiwis": "kiwi"},
    **{"menus": "menu", "gurus": "guru", "emus": "emu", "gnus": "gnu", "cpus": "cpu"},
    **{"mics": "mic", "clinics": "clinic", "comics": "comic", "topics": "topic"},
    **{"harmonics": "harmonic", "critics": "critic", "picnics": "picnic"},
    **{"crevasses": "crevasse", "impasses": "impasse", "mousses": "mousse"},
}
# plurals of words in -ie, -oe, -che and -use, where others lose the e as well
KEEP_E = frozenset(
    "movies cookies zombies selfies newbies rookies genies calories sorties brownies "
    "smoothies indies prairies magpies bowties neckties talkies goalies budgies "
    "collies junkies groupies foodies veggies hoodies hippies cuties oldies freebies "
    "roadies boogies birdies eeries quickies yuppies "
    "shoes canoes hoes toes oboes foes floes roes does woes aloes sloes tiptoes "
    "horseshoes snowshoes mistletoes "
    "caches aches headaches earaches toothaches stomachaches backaches avalanches "
    "quiches niches moustaches mustaches creches psyches cliches douches apaches "
    "brioches pastiches "
    "uses abuses muses fuses ruses excuses recluses amuses accuses refuses reuses "
    "misuses confuses".split()
)
# the first that matches a whole word replaces what follows the group
RULES = tuple(
    (re.compile(pattern), ending)
    for pattern, ending in [
        (r"(.*child)ren", ""),
        (r"(.*(?:wol|hal|cal|sel|hoo|loa|lea|shel|scar))ves", "f"),
        (r"(.*kni|(?:.*[de])?wi)ves", "fe"),
        (r"(.)ies", "ie"),
        (r"(.*[^aeiou])ies", "y"),
        (r"(.*(?:sh|ch|zz|tz|ss|.x|[^aeiou]o|[^ao]us))es", ""),
        (r"(.*(?:ss|us|is|ics|[^ae]wards))", ""),
        (r"(.{3,})s", ""),
    ]
)
LAST_PART = re.compile(r"(?:^|[-_ ])([A-Za-z]{3,})$")


def singular(word: str) -> str:
    """Singular form of a word; of a compound, ``drum-loops``, that of its last part.

    Words that may be singular stay as they are, and so does what is no English word:
    bass, blues, bus, 80s.

    Examples
    --------
    >>> from skaudio.preprocessing._singular import singular
    >>> [singular(word) for word in ("drums", "wolves", "crying_babies", "bass", "80s")]
    ['drum', 'wolf', 'crying_baby', 'bass', '80s']
    """
    part = LAST_PART.search(word)
    if part is None:
        return word
    plural = part[1].lower()
    form = _singular(plural)
    n_kept = len(form)
    while not plural.startswith(form[:n_kept]):
        n_kept -= 1
    return word[: part.start(1) + n_kept] + form[n_kept:]


def _singular(plural: str) -> str:
    if plural in UNCHANGED:
        return plural
    if plural in IRREGULAR:
        return IRREGULAR[plural]
    if plural in KEEP_E:
        return plural[:-1]
    if plural.endswith("es") and plural[:-2] in UNCHANGED:
        return plural[:-2]
    for pattern, ending in RULES:
        if found := pattern.fullmatch(plural):
            return found[1] + ending
    return plural
