from keyturn.providers.connect.reuse import Reuse


def test_connections_are_kept_until_three_in_a_row_turn_out_closed():
    """One or two may be closed by chance."""
    reuse = Reuse()
    for _ in range(5):
        reuse.turned_out_closed()
        reuse.turned_out_closed()
        assert reuse.permitted()
        reuse.worked()
    for _ in range(3):
        reuse.turned_out_closed()

    assert not reuse.permitted()


def test_keeping_is_tried_again_after_a_hundred_requests():
    """One more closed connection ends the trial; one that works ends the doubt."""
    reuse = Reuse()
    for _ in range(3):
        reuse.turned_out_closed()
    assert [reuse.permitted() for _ in range(102)] == [False] * 100 + [True] * 2

    reuse.turned_out_closed()
    assert [reuse.permitted() for _ in range(101)] == [False] * 100 + [True]

    reuse.worked()
    assert all(reuse.permitted() for _ in range(300))
