import words

assert words.VALUE.endswith(" of words"), words.VALUE
