VALUE = "alpha 1"


def main():
    print(VALUE)
