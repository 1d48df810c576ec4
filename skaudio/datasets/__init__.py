"""Sounds to learn from: synthetic events, your own files, published data sets."""

from skaudio._data_home import clear_data_home, get_data_home
from skaudio.datasets._chords import make_chords
from skaudio.datasets._dcase2016 import fetch_dcase2016
from skaudio.datasets._esc50 import fetch_esc50
from skaudio.datasets._everyday import make_everyday_sounds
from skaudio.datasets._files import load_audio_files
from skaudio.datasets._gtzan import fetch_gtzan
from skaudio.datasets._gtzan_speech_music import fetch_gtzan_speech_music
from skaudio.datasets._magnatagatune import fetch_magnatagatune
from skaudio.datasets._million_song import load_msd_split, load_tagtraum_split
from skaudio.datasets._musan import fetch_musan
from skaudio.datasets._nsynth import fetch_nsynth
from skaudio.datasets._recordings import make_recordings
from skaudio.datasets._synthetic import make_sounds
from skaudio.datasets._urbansound8k import fetch_urbansound8k
from skaudio.datasets._writing import write_audio_files

__all__ = [
    "clear_data_home",
    "fetch_dcase2016",
    "fetch_esc50",
    "fetch_gtzan",
    "fetch_gtzan_speech_music",
    "fetch_magnatagatune",
    "fetch_musan",
    "fetch_nsynth",
    "fetch_urbansound8k",
    "get_data_home",
    "load_audio_files",
    "load_msd_split",
    "load_tagtraum_split",
    "make_chords",
    "make_everyday_sounds",
    "make_recordings",
    "make_sounds",
    "write_audio_files",
]
