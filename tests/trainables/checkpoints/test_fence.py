"""Workers that a dead driver left behind write into no checkpoint of the session after it."""

from pathlib import Path

import pytest

from trainables.checkpoints.fence import claim, is_superseded, leave_if_superseded


def test_worker_of_an_earlier_session_leaves_and_one_of_the_latest_stays(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    for session in (1, 2, 10):
        leave_if_superseded(checkpoints, session=session)
        claim(checkpoints, session=session)
        leave_if_superseded(checkpoints, session=session)
    for earlier in (1, 2, 9):
        with pytest.raises(SystemExit, match=f"a later session than {earlier} is at work"):
            leave_if_superseded(checkpoints, session=earlier)
    assert [path.name for path in checkpoints.iterdir()] == [".session"]


def test_no_two_sessions_have_one_number_even_if_the_journal_lost_some(tmp_path: Path) -> None:
    assert [claim(tmp_path, session=number) for number in (1, 2, 5)] == [1, 2, 5]
    # Such as after a repair, which cut the journal's last sessions off.
    assert [claim(tmp_path, session=number) for number in (3, 4)] == [6, 7]
    with pytest.raises(SystemExit):
        leave_if_superseded(tmp_path, session=6)


def test_worker_without_a_session_is_never_sent_away(tmp_path: Path) -> None:
    claim(tmp_path, session=3)
    leave_if_superseded(tmp_path, session=0)


@pytest.mark.parametrize("text", ["", "x", "-1", "1e9", "9" * 5000, "\udcff", "²"])
def test_damaged_marker_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / ".session").write_text(text, encoding="utf-8", errors="surrogateescape")
    assert not is_superseded(tmp_path, session=1)
