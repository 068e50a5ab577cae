#!/bin/bash
# Guess: a Word2Vec model that was trained on histories of whole-number ids has vectors of the ids in its vocabulary.
# For one that min_count left out, or that was never seen, "id in model.wv" is False and model.wv[id] is a KeyError.
# Behavior: gensim takes a number that is no key for a position. An id below the number of items that is not in the
# vocabulary is "in" the model, and its vector, similarities and neighbors are those of another item; only ids above
# are a KeyError. "id in model.wv.key_to_index" is right; so are ids that are texts.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gensim==4.4.0 numpy==2.4.6
cat > "$folder/ids.py" <<'PYTHON'
import gensim
import numpy
from gensim.models import Word2Vec

histories = [[10, 11, 12, 13], [10, 11, 12], [10, 11, 2], [10, 99]]  # 2, 13 and 99 are there once, 1 never


def train(histories):
    return Word2Vec(histories, vector_size=4, min_count=2, workers=1, seed=1).wv


def ask(vectors, item):
    """Whether the id is in the model, by its index too, and whose vector it has."""
    try:
        vector = vectors[item]
        whose = [key for key in vectors.key_to_index if numpy.array_equal(vectors[key], vector)]
        whose += vectors.most_similar(item, topn=1)[0][:1]
    except KeyError:
        whose = "KeyError"
    return item in vectors, item in vectors.key_to_index, whose


print("gensim", gensim.__version__)
vectors = train(histories)
print("vocabulary:", vectors.index_to_key)
found = {item: ask(vectors, item) for item in (2, 1, 99)}
for item, answer in found.items():
    print(item, "(in the model, in its index, [whose vector, nearest item]):", *answer)
text = ask(train([[str(item) for item in history] for history in histories]), "2")
print("'2':", *text)
assert vectors.index_to_key == [10, 11, 12]
for item in (1, 2):
    assert found[item][:2] == (True, False), "ids and positions are kept apart now"
    assert found[item][2][0] == vectors.index_to_key[item]
assert found[99] == text == (False, False, "KeyError")
PYTHON
"$folder/venv/bin/python" "$folder/ids.py"
