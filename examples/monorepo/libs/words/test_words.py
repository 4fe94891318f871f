import words


def test_counts_words():
    assert words.count(" one  two\nthree ") == 3
