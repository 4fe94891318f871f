import os
import sys

import words

print(words.VALUE, os.environ["MIGRATED"], sys.argv[1:])
