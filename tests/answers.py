"""What the tests of the checkers ask of an answer."""

import pytest

from zth.check import Wrong


def passes(capsys, checker, *answer, **parts):
    """The line that the checker prints of a right answer."""
    checker(*answer, **parts)
    out = capsys.readouterr().out
    assert out.startswith(f"{checker.__name__}: right (")
    assert out.count("\n") == 1
    return out


def refuses(checker, *answer, **parts):
    """The message with which the checker refuses, as one line."""
    with pytest.raises(Wrong) as caught:
        checker(*answer, **parts)
    return " ".join(str(caught.value).split())
