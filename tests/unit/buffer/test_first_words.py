"""Nothing is told into a bus that is not joined yet, nothing twice, nothing is kept for ever."""

from tinybms_buffer.firstwords import JOIN_S, SETTLE_S, FirstWords

Said = tuple[str, str, str]


def words() -> tuple[FirstWords, list[Said]]:
    said: list[Said] = []

    def tell(code: str, text: str, severity: str = "info") -> None:
        said.append((code, text, severity))

    return FirstWords(tell, now_s=100.0), said


def test_what_is_told_waits_for_the_bus_and_comes_once_in_order() -> None:
    tell, said = words()
    tell("storage_damaged", "a", "alarm")
    tell("storage_off", "b", "alarm")
    tell.heard(103.0)
    tell.heard(103.9)
    tell.tick(103.0 + SETTLE_S - 0.1)
    assert said == []
    tell.tick(103.0 + SETTLE_S)
    tell("storage_on", "c")
    tell.heard(105.0)
    tell.release()
    tell.tick(500.0)
    assert said == [
        ("storage_damaged", "a", "alarm"),
        ("storage_off", "b", "alarm"),
        ("storage_on", "c", "info"),
    ]


def test_without_anybody_on_the_bus_it_is_told_in_the_end() -> None:
    tell, said = words()
    tell("storage_off", "b", "alarm")
    tell.tick(100.0 + JOIN_S - 0.1)
    assert said == []
    tell.tick(100.0 + JOIN_S)
    assert said == [("storage_off", "b", "alarm")]


def test_at_the_end_all_is_told_at_once() -> None:
    tell, said = words()
    tell("storage_off", "b", "alarm")
    tell.release()
    assert said == [("storage_off", "b", "alarm")]
