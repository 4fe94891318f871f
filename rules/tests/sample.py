"""What the sample wheel holds."""


def main():
    print("sample")
