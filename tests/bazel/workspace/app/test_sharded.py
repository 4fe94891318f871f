import os

import first_party
import pytest


@pytest.mark.parametrize("number", range(4))
def test_number(number, value):
    assert value == 3
    with open(os.path.join(os.environ["TEST_UNDECLARED_OUTPUTS_DIR"], f"number{number}"), "w") as file:
        file.write(first_party.VALUE)


class TestClass:
    def test_method(self, tmp_path):
        assert str(tmp_path).startswith(os.environ["TEST_TMPDIR"])
