"""Singular forms: every rule, and what must stay as it is."""

import pytest

from skaudio.preprocessing._singular import KEEP_E, UNCHANGED, singular

PLURALS = {
    "-s": "drums drum, sounds sound, footsteps footstep, bells bell, keys key, dogs "
    "dog, trees tree, bagpipes bagpipe, vocals vocal, synths synth, beats beat, "
    "strings string, rewards reward, keyboards keyboard, birds bird, railways railway",
    "-as": "cameras camera, congas conga, marimbas marimba, violas viola, tubas tuba, "
    "operas opera, cicadas cicada, areas area, spas spa",
    "-os": "cellos cello, pianos piano, radios radio, bongos bongo, videos video, lfos "
    "lfo, echos echo, didgeridoos didgeridoo, cuckoos cuckoo",
    "-oes": "echoes echo, heroes hero, tornadoes tornado, shoes shoe, oboes oboe, "
    "horseshoes horseshoe, toes toe, canoes canoe",
    "-us": "buses bus, choruses chorus, viruses virus, circuses circus, menus menu",
    "-uses": "houses house, causes cause, pauses pause, pulses pulse, fuses fuse",
    "-ss": "glasses glass, basses bass, brasses brass, kisses kiss, hisses hiss",
    "-ses": "noises noise, horses horse, noses nose, phases phase, gases gas, lenses "
    "lens, biases bias, canvases canvas, irises iris, analyses analysis, crises "
    "crisis, impulses impulse, cheeses cheese",
    "-xes": "boxes box, foxes fox, remixes remix, saxes sax, axes axe",
    "-zes": "buzzes buzz, quizzes quiz, waltzes waltz, breezes breeze, sneezes sneeze",
    "-ces": "voices voice, bounces bounce, ambulances ambulance, laces lace",
    "-ches": "churches church, scratches scratch, switches switch, headaches "
    "headache, avalanches avalanche, caches cache",
    "-shes": "crashes crash, splashes splash, brushes brush",
    "-ies": "cities city, babies baby, cries cry, flies fly, batteries battery, movies "
    "movie, zombies zombie, pies pie, skies sky",
    "-ves": "wolves wolf, werewolves werewolf, leaves leaf, knives knife, wives wife, "
    "midwives midwife, shelves shelf, halves half, hooves hoof, thieves thief, waves "
    "wave, caves cave, valves valve, gloves glove, sleeves sleeve, octaves octave, "
    "grooves groove, beehives beehive, claves clave, elves elf",
    "irregular": "children child, grandchildren grandchild, men man, women woman, feet "
    "foot, teeth tooth, mice mouse, geese goose, firemen fireman, dvds dvd, cds cd",
}
SINGULAR = (
    "bass glass brass hiss boss chess blues bus virus chorus circus campus plus us "
    "gas lens jazz news always series species aves christmas bias canvas iris axis "
    "chaos cosmos thermos paris tennis analysis texas this his was yes mars rhodes "
    "scissors jeans clothes lives electronics acoustics physics gps fps sos bpm fx sfx "
    "80s 1990s mp3s 808 forwards towards timpani celli dice sheep people media "
    "specimen omen ramen amen glockenspiel contrabass double-bass press gross voces "
    "élèves ütopias trois gros tres"
).split()


@pytest.mark.parametrize("pairs", PLURALS.values(), ids=PLURALS)
def test_plurals(pairs):
    for pair in pairs.split(", "):
        plural, expected = pair.split()
        assert singular(plural) == expected
        assert singular(expected) == expected, "a singular form has none of its own"


@pytest.mark.parametrize("word", SINGULAR)
def test_what_may_be_singular_stays(word):
    assert singular(word) == word


def test_the_last_part_of_a_compound():
    assert singular("crying_babies") == "crying_baby"
    assert singular("drum-loops") == "drum-loop"
    assert singular("drums-bass") == "drums-bass"
    assert singular("dog barks") == "dog bark"
    assert singular("top40s") == "top40s"


def test_case_is_kept():
    assert singular("Drums") == "Drum"
    assert singular("WOLVES") == "WOLf"
    assert singular("Bass") == "Bass"
    assert (
        singular("\u0130stanbul Birds") == "\u0130stanbul Bird"
    )  # longer in lower case


def test_no_word_is_lost_altogether():
    for word in (*KEEP_E, *UNCHANGED, "", "s", "es", "ies", "ves", "-s", "_"):
        assert singular(word) or not word
    assert {singular(word) for word in KEEP_E} == {word[:-1] for word in KEEP_E}
