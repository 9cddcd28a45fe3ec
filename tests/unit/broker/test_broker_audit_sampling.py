"""Which records of unknown callers are written."""

from keyturn.broker.audit_sampling import PERIOD_S, AuditSampling


def test_one_record_of_an_address_is_written_in_ten_seconds():
    """The next one says how many were left out."""
    sampling = AuditSampling()

    assert sampling.take("a", 0.0) == 0
    assert [sampling.take("a", 1.0), sampling.take("a", 9.9)] == [None, None]
    assert sampling.take("a", PERIOD_S) == 2
    assert sampling.take("a", 2 * PERIOD_S) == 0


def test_addresses_are_told_apart():
    """One that floods must not hide the others."""
    sampling = AuditSampling()

    assert [sampling.take(each, 0.0) for each in "aba"] == [0, 0, None]


def test_very_many_addresses_share_a_record():
    """Memory is bounded, and so is the number of lines."""
    sampling = AuditSampling()

    taken = [sampling.take(f"10.0.{each >> 8}.{each & 255}", 0.0) for each in range(3000)]
    assert taken.count(0) == 1001
    assert taken.count(None) == 1999
    assert sampling.take("10.0.11.183", PERIOD_S) == 0
