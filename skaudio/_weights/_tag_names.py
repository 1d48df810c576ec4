"""Names of the 50 tags of public data sets, in the order of networks' outputs."""

from __future__ import annotations

# by how often they occur, as in split/mtat/top50_tags.txt of sota-music-tagging-models
MTAT = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock",
    "fast", "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian",
    "opera", "male", "singing", "vocals", "no vocals", "harpsichord", "loud", "quiet",
    "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man",
    "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal",
    "beats", "harp", "cello", "no voice", "weird", "country", "female voice", "metal",
    "choral",
)  # fmt: skip
# as in split/msd/50tagList.txt there
MSD = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance",
    "00s", "alternative rock", "jazz", "beautiful", "metal", "chillout",
    "male vocalists", "classic rock", "soul", "indie rock", "Mellow", "electronica",
    "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues",
    "hard rock", "ambient", "acoustic", "experimental", "female vocalist", "guitar",
    "Hip-Hop", "70s", "party", "country", "easy listening", "sexy", "catchy", "funk",
    "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad",
    "House", "happy",
)  # fmt: skip
# sorted with their kinds before them, as scikit-learn's LabelBinarizer does
JAMENDO = (
    *(f"genre---{name}" for name in (
        "alternative", "ambient", "atmospheric", "chillout", "classical", "dance",
        "downtempo", "easylistening", "electronic", "experimental", "folk", "funk",
        "hiphop", "house", "indie", "instrumentalpop", "jazz", "lounge", "metal",
        "newage", "orchestral", "pop", "popfolk", "poprock", "reggae", "rock",
        "soundtrack", "techno", "trance", "triphop", "world",
    )),
    *(f"instrument---{name}" for name in (
        "acousticguitar", "bass", "computer", "drummachine", "drums", "electricguitar",
        "electricpiano", "guitar", "keyboard", "piano", "strings", "synthesizer",
        "violin", "voice",
    )),
    *(f"mood/theme---{name}" for name in (
        "emotional", "energetic", "film", "happy", "relaxing",
    )),
)  # fmt: skip
