from click.testing import CliRunner

import commands


def test_counts():
    assert CliRunner().invoke(commands.count, ["one", "two three"]).output == "3\n"
