import numpy as np
import torch

from n3lib.text.words import WordEncoder


def test_words():
    encoder = WordEncoder(8)
    first, second = encoder.encode(["The Bird's blue-gray bird, 3 m; ÉTÉ_x 'quoted'", "..."])
    assert first.words == ["the", "bird's", "blue-gray", "bird", "3", "m", "été", "x", "quoted"]
    assert first.embeddings.shape == (9, 8) and first.embeddings.dtype == torch.float16
    assert second.words == [] and second.embeddings.shape == (0, 8)
    assert encoder.encode([]) == []


def test_a_word_has_one_vector_everywhere():
    one, two = (WordEncoder(64).encode([text])[0].embeddings for text in ("blue jay", "A BLUE bird"))
    torch.testing.assert_close(one[0], two[1], rtol=0, atol=0)
    assert one[0, :4].tolist() == [-0.51220703125, 0.130615234375, -0.416015625, 0.28173828125]


def test_word_vectors_are_unit_gaussian_and_nearly_orthogonal():
    vectors = (
        WordEncoder(256).encode([" ".join(f"word{i}" for i in range(400))])[0].embeddings.float().numpy()
    )
    assert abs(vectors.mean()) < 0.02 and abs(vectors.std() - 1) < 0.02
    cosines = np.corrcoef(vectors) - np.eye(400)
    assert abs(cosines).max() < 0.35


def test_word_revision_follows_the_width():
    assert WordEncoder(8).revision == WordEncoder(8).revision != WordEncoder(9).revision
